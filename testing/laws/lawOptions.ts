/** What the laws that draw cases have in common. */
import fc from "fast-check";
import type { Node } from "../../engine/graph/node.ts";
import type { Accuracy } from "../bounds/bounds.ts";

/** How a law of devices is tried. */
export type LawOptions = {
  /** Cases. */
  readonly runs: number;
  /** The same seed draws the same cases. */
  readonly seed: number;
  /** What results are held to, e.g. `accuracies.wasm`. */
  readonly accuracy: Accuracy;
  /** Whether a counterexample is made smaller (default). Where one is expected that is wasted. */
  readonly shrinks?: boolean;
  /** What random programs may be made of, for devices that don't know all primitives; default: everything. */
  readonly supports?: (node: Node) => boolean;
  /** Told after each case how many there were. */
  readonly onCase?: (done: number) => void;
};

/** How much a law compared: one that skips everything proves nothing. */
export type LawReport = {
  /** Elements. */
  readonly compared: number;
  /** Elements about which float32 decides nothing, where a rounding error may change a comparison for one. */
  readonly uncertain: number;
};

/** Tries a law on drawn cases. @throws Error with the seed, the smallest case that fails and why it does */
export async function assertCases<S>(
  cases: fc.Arbitrary<S>,
  holds: (drawn: S) => Promise<void>,
  { runs, seed, shrinks = true, onCase }: Pick<LawOptions, "runs" | "seed" | "shrinks" | "onCase">,
): Promise<void> {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(cases, async (drawn) => {
      await holds(drawn);
      onCase?.(++done);
    }),
    { numRuns: runs, seed, endOnFailure: !shrinks, includeErrorInReport: true },
  );
}
