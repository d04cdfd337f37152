import { Notices } from "./notices.ts";

/** What readers of data tell those who asked for them. */
export type Reading = {
  /** Told what is left out, changed or guessed. */
  readonly notices: Notices;
  /** Told how far the work is, e.g. `("reading photos", 300, 1000)`; the total is null if it isn't known. */
  readonly onProgress: (work: string, done: number, total: number | null) => void;
};

/** @returns what is asked for, with silence for the rest. */
export function readingOf({ notices = new Notices(), onProgress = (): void => undefined }: Partial<Reading>): Reading {
  return { notices, onProgress };
}
