import { judge, type Pair } from "../../diffusion/comparison/index.ts";
import { summarizeRepeats } from "../../diffusion/metrics/index.ts";

/** Whether what the paper found shows in this ladder; `missing` if it lacks what that takes. */
export type Verdict = "shows" | "not" | "unclear" | "missing";

/** How two sets of positive numbers compare. */
export type Comparison = {
  /** The geometric mean of the first over that of the second. */
  readonly ratio: number;
  /** The ratio less and plus both spreads: between 0 and infinity if neither set has two numbers. */
  readonly low: number;
  readonly high: number;
};

/**
 * Compares by ratio. The spread of a set is the standard deviation of its logarithms; one number alone is taken to spread as the
 * other set does. Two sets differ if their means are further apart than both spreads together.
 */
export function compareRatios(left: readonly number[], right: readonly number[]): Comparison {
  const [first, second] = [left, right].map((values) => summarizeRepeats(values.map(Math.log)));
  if (first === undefined || second === undefined) throw new RangeError("two sets give two summaries");
  const spreads = [first, second]
    .map(({ standardDeviation }) => standardDeviation)
    .filter((spread) => !Number.isNaN(spread));
  const difference = first.mean - second.mean;
  const [one, other = one] = spreads;
  const spread = one === undefined || other === undefined ? Number.POSITIVE_INFINITY : one + other;
  return { ratio: Math.exp(difference), low: Math.exp(difference - spread), high: Math.exp(difference + spread) };
}

/**
 * Compares by ratio what belongs together pair by pair, so that what a pair has in common drops out: as `evenkeel compare` does, by an
 * interval that holds with 95 % however many seeds are added.
 * @param pairs positive; of fewer than three nothing can be told
 */
export function comparePairs(pairs: readonly Pair[]): Comparison {
  const { ratio, low, high } = judge(pairs);
  return { ratio, low, high };
}

/** Whether the first set is larger, and at least `factor` times as large. */
export function isLarger({ ratio, low, high }: Comparison, factor = 1): Verdict {
  if (low > 1 && ratio >= factor) return "shows";
  return high < factor || (low > 1 && ratio < factor) ? "not" : "unclear";
}

/** Geometric mean. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(summarizeRepeats(values.map(Math.log)).mean);
}

/** Standard deviation of the logarithms of the positive numbers among `values`; null for fewer than two. */
export function logarithmicSpread(values: readonly (number | null)[]): number | null {
  const logarithms = values.flatMap((value) => (value !== null && value > 0 ? [Math.log(value)] : []));
  return logarithms.length < 2 ? null : summarizeRepeats(logarithms).standardDeviation;
}
