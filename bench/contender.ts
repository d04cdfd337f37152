import type { Work } from "./work.ts";

/** A piece of work that one engine has ready: inputs uploaded, program compiled. */
export type PreparedWork = {
  /** Runs it so many times, one after the other, each to its end, and gives the seconds of all together. */
  measure(times: number): Promise<number>;
  /** Runs it once and gives its results on the host, row-major, images as [N, C, H, W]. */
  results(): Promise<readonly Float32Array[]>;
  dispose(): void | Promise<void>;
};

/** An engine to be measured. */
export type Contender = {
  readonly name: string;
  /** One line: version, device, threads. */
  readonly description: string;
  /** What it is a contender for; everything if absent. */
  readonly suits?: (work: Work) => boolean;
  /** Gives a sentence instead where the engine is not able to do it. */
  prepare(work: Work, data: readonly Float32Array[]): Promise<PreparedWork | { readonly cannot: string }>;
  dispose(): void | Promise<void>;
};

/** A contender, or why it isn't here. */
export type Availability = { readonly contender: Contender } | { readonly name: string; readonly missing: string };

/** Seconds of `times` runs. */
export async function timed(times: number, run: () => Promise<void>): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < times; i++) await run();
  return (performance.now() - start) / 1e3;
}
