/** The error function in float64. */

/** Below it the series is short, above it the continued fraction. */
const seriesLimit = 2.5;
/** erf is 1 in float64 from here on: erfc(6) is 2e-17. */
const saturation = 6;

/** erf(x) = 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x, within a few units in the last place of float64. */
export function errorFunction(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x)) return NaN;
  if (size < seriesLimit) return bySeries(x);
  return Math.sign(x) * (size < saturation ? 1 - complement(size) : 1);
}

/** 2 / sqrt(pi) x e^(-x^2) (1 + 2x^2 / 3 + (2x^2)^2 / (3 * 5) + ...): no term is negative, so nothing cancels. */
function bySeries(x: number): number {
  const twiceSquare = 2 * x * x;
  let [sum, term] = [1, 1];
  for (let odd = 3; term > sum * 2 ** -54; odd += 2) {
    term *= twiceSquare / odd;
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * x * Math.exp(-x * x) * sum;
}

/** erfc(x) = e^(-x^2) / sqrt(pi) / (x + (1/2) / (x + (2/2) / (x + (3/2) / ...))) for x from `seriesLimit` on. */
function complement(x: number): number {
  let denominator = x;
  for (let k = 60; k > 0; k--) denominator = x + k / 2 / denominator;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / denominator;
}
