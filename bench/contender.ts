import type { Work } from "./work.ts";

/** Runs a prepared work once and gives its result on the host, so that nobody is measured with work still queued. */
export type PreparedWork = { readonly run: () => Promise<Float32Array>; readonly dispose: () => void };

/** An engine to be measured. */
export type Contender = {
  readonly name: string;
  /** One line: version, device, threads. */
  readonly description: string;
  /** Uploads the inputs and compiles; neither is part of what is measured. */
  prepare(work: Work, data: readonly Float32Array[]): Promise<PreparedWork>;
  dispose(): void;
};

/** A contender, or why it isn't here. */
export type Availability = { readonly contender: Contender } | { readonly name: string; readonly missing: string };
