import { EvenkeelError } from "../errors.ts";
import type { Shape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { add, clamp, greater, minimum, multiply, negate, subtract, where } from "../ops/elementwise.ts";
import { lowerNormalQuantile, randomUniform } from "./distributions.ts";

/**
 * The probability that a standard normal is below x: 1/2 + phi(x) (x + x^3/3 + x^5/(3*5) + ...), whose terms have one sign
 * (Marsaglia 2004). Within 1e-15; beyond +-8 it is 0 and 1 to that.
 */
function normalProbability(x: number): number {
  if (Math.abs(x) >= 8) return x > 0 ? 1 : 0;
  let [term, sum] = [x, x];
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 + sum * (Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI));
}

/**
 * Standard normals of which those outside of [low, high] are left out, by the inverse of the distribution function. For +-2 the standard
 * deviation is 0.880. As `randomNormal` it takes 2^24 quantiles, so that no magnitude is beyond 5.4.
 * @throws EvenkeelError `range` unless low < high, and if less than 2^-24 of all normals are between them.
 * @example
 * ```ts
 * const draws = randomTruncatedNormal(randomKey(0), [1000], -1, 2);
 * console.log((await reduceMin(draws).item()) >= -1, (await reduceMax(draws).item()) <= 2); // true true
 * ```
 */
export function randomTruncatedNormal(key: Tensor, shape: Shape, low = -2, high = 2): Tensor {
  // Of two equal sides the lower one has the finer quantiles.
  if (low + high > 0) return negate(randomTruncatedNormal(key, shape, -high, -low));
  const [below, above] = [normalProbability(low), normalProbability(high)];
  if (!(low < high) || above - below < 2 ** -24) {
    throw new EvenkeelError(
      "range",
      `randomTruncatedNormal: next to no normal number is from ${low} to ${high}. Give bounds in order, nearer to 0.`,
    );
  }
  const middle = add(randomUniform(key, shape), 2 ** -25);
  const p = add(multiply(middle, above - below), below);
  const tail = clamp(minimum(p, subtract(1, p)), 2 ** -25, 0.5);
  const quantile = lowerNormalQuantile(tail);
  return clamp(where(greater(p, 0.5), negate(quantile), quantile), low, high);
}
