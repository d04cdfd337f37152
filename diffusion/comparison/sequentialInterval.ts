/** An interval for the mean of normal values that may be looked at after every one of them. */
export type Interval = { readonly mean: number; readonly low: number; readonly high: number };

/** How many standard deviations a mean is from 0, of which the test expects most: a paired comparison's are large. */
const expectedEffect = 5;

/**
 * The mean of values, and an interval that holds at every look together: of runs without end, however often one looks and whenever one
 * stops, a share of `level` at least never has the true mean outside. (An interval of Student's t holds for one look that was planned.)
 *
 * For independent normal values with an unknown deviation. It inverts a mixture of likelihood ratios of the t statistic over effect sizes
 * from a normal distribution: a martingale wherever the true mean is, so that it rarely becomes large (Ville's inequality). Lai 1976, "On
 * confidence sequences"; Wang and Ramdas 2025, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance".
 * @param values fewer than three say nothing: the interval is everything
 * @param level probability from 0 to 1
 * @example
 * ```ts
 * const { mean, low, high } = sequentialInterval([0.9, 1.1, 1, 1.05, 0.95], 0.95);
 * console.log(mean, low.toFixed(2), high.toFixed(2)); // 1 0.80 1.20
 * ```
 */
export function sequentialInterval(values: readonly number[], level = 0.95): Interval {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  // Shrinks with every value: how much of the statistic's size an expected effect explains.
  const share = 1 / (1 + count * expectedEffect ** 2);
  const bound = ((1 - level) * Math.sqrt(share)) ** (-2 / count);
  if (count < 2 || share * bound >= 1) return { mean, low: -Infinity, high: Infinity };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  // t^2 over its degrees of freedom, at which the likelihood ratio is 1 / (1 - level).
  const statistic = (bound - 1) / (1 - share * bound);
  const reach = Math.sqrt((statistic * squares) / count);
  return { mean, low: mean - reach, high: mean + reach };
}
