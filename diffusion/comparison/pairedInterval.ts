import { sequentialInterval } from "./sequentialInterval.ts";

/** A quantity of two runs that share every random number but what the change changes. */
export type Pair = { readonly changed: number; readonly base: number };

/** How two values are compared: changed / base, for what is positive; changed - base, for what may be zero, negative or bounded. */
export type PairedScale = "ratio" | "difference";

/** By how much a quantity of the change differs from the base's. */
export type PairedInterval = {
  /** Geometric mean of the pairs' ratios, or mean of their differences; NaN without pairs. */
  readonly value: number;
  /** The interval in which it is: everything (from 0 or -Infinity on) for fewer than three pairs. */
  readonly low: number;
  readonly high: number;
  /** Standard deviation of a pair's difference, or of the logarithm of its ratio; NaN for fewer than two pairs. */
  readonly pairedDeviation: number;
  /** The same of two runs that share nothing: what pairing is worth. */
  readonly unpairedDeviation: number;
};

/**
 * A quantity of the change beside the base's, by pairs of runs, after any number of them: `sequentialInterval` of the differences, or of
 * the logarithms of the ratios. It holds at every look together, however often one looks and whenever one stops.
 * @param level probability from 0 to 1 of this interval alone
 * @throws RangeError for values that aren't finite, or of a ratio aren't positive.
 * @example
 * ```ts
 * const recalls = [0.52, 0.49, 0.53, 0.51].map((changed, i) => ({ changed, base: [0.41, 0.4, 0.41, 0.42][i] ?? 0 }));
 * const { value, low, high } = pairedInterval(recalls, "difference");
 * console.log(value.toFixed(3), low.toFixed(3), high.toFixed(3)); // 0.103 0.052 0.153
 * ```
 */
export function pairedInterval(pairs: readonly Pair[], scale: PairedScale, level = 0.95): PairedInterval {
  const { mean, low, high, ...deviations } = scaledInterval(pairs, scale, level);
  const from = scale === "ratio" ? Math.exp : (value: number): number => value;
  return { value: from(mean), low: from(low), high: from(high), ...deviations };
}

/** The same on the scale on which it is computed: ratios as their logarithms. */
export function scaledInterval(
  pairs: readonly Pair[],
  scale: PairedScale,
  level: number,
): Omit<PairedInterval, "value"> & { readonly mean: number } {
  for (const value of pairs.flatMap(({ changed, base }) => [changed, base])) {
    if (Number.isFinite(value) && (scale === "difference" || value > 0)) continue;
    throw new RangeError(
      `pairedInterval: ${value}; wanted ${scale === "ratio" ? "positive numbers, or the scale difference" : "finite numbers"}.`,
    );
  }
  const to = scale === "ratio" ? Math.log : (value: number): number => value;
  const [changed, base] = [pairs.map((pair) => to(pair.changed)), pairs.map((pair) => to(pair.base))];
  const differences = changed.map((value, i) => value - (base[i] ?? NaN));
  return {
    ...sequentialInterval(differences, level),
    pairedDeviation: deviation(differences),
    unpairedDeviation: Math.hypot(deviation(changed), deviation(base)),
  };
}

function deviation(values: readonly number[]): number {
  if (values.length < 2) return NaN;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
