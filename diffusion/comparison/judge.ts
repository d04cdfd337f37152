import { type Pair, scaledInterval } from "./pairedInterval.ts";

/**
 * What a comparison says of a change: its error is smaller or larger; neither by more than a margin; it can't be told yet; or its runs
 * don't stay finite where those without it do.
 */
export type Verdict = "better" | "worse" | "same" | "undecided" | "diverges";

/** A change beside the base, by the ratio of their errors: below 1 it is better. */
export type Judgement = {
  readonly verdict: Verdict;
  /** Geometric mean of the pairs' ratios, and the interval in which it is. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** Standard deviation of the logarithm of a pair's ratio; NaN for fewer than two pairs. */
  readonly pairedDeviation: number;
  /** The same of the ratio of two runs that share nothing: what pairing is worth. */
  readonly unpairedDeviation: number;
};

/** What counts as certain, and as a difference. */
export type JudgeOptions = {
  /** Probability with which all intervals of a comparison hold together, at every look. Default 0.95. */
  readonly level?: number;
  /** Ratios up to 1 + margin, and down to 1 / (1 + margin), are no difference. Default 0.01. */
  readonly margin?: number;
  /** Changes that are judged side by side. Default 1. */
  readonly changes?: number;
};

/**
 * Judges a change by the errors of pairs of runs, after any number of them: `sequentialInterval` of the logarithms of ratios.
 * @throws RangeError if an error of the base isn't a positive number: there is nothing to compare with.
 * @example
 * ```ts
 * const pairs = [0.9, 0.91, 0.905, 0.9, 0.895].map((changed, i) => ({ changed, base: 1 + i / 100 }));
 * const { verdict, ratio } = judge(pairs);
 * console.log(verdict, ratio.toFixed(3)); // better 0.884
 * ```
 */
export function judge(pairs: readonly Pair[], options: JudgeOptions = {}): Judgement {
  const { level = 0.95, margin = 0.01, changes = 1 } = options;
  const lost = pairs.find(({ base }) => !(base > 0 && Number.isFinite(base)));
  if (lost !== undefined) throw new RangeError(`judge: the base has an error of ${lost.base}`);
  const finite = pairs.filter(({ changed }) => changed > 0 && Number.isFinite(changed));
  const { mean, low, high, ...deviations } = scaledInterval(finite, "ratio", 1 - (1 - level) / changes);
  return {
    verdict: finite.length < pairs.length ? "diverges" : verdictOf(low, high, Math.log1p(margin)),
    ratio: Math.exp(mean),
    low: Math.exp(low),
    high: Math.exp(high),
    ...deviations,
  };
}

function verdictOf(low: number, high: number, margin: number): Verdict {
  // A difference that is certain, but smaller than what counts, is none.
  if (low >= -margin && high <= margin) return "same";
  if (high < 0) return "better";
  return low > 0 ? "worse" : "undecided";
}
