import { EvenkeelError } from "../errors.ts";
import type { Shape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { add, clamp, greater, minimum, multiply, negate, subtract, where } from "../ops/elementwise.ts";
import { lowerNormalQuantile, unitUniform } from "./distributions.ts";

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
 * deviation is 0.880. A quantile is chosen by 24 bits of the probability between the bounds, some of which float32 rounds away from 1/2 on:
 * equal numbers come up a little more often there. No magnitude is beyond 5.4.
 * @throws EvenkeelError `range` unless low < high, and if less than 2^-24 of all normals are between them.
 * @example
 * ```ts
 * const draws = randomTruncatedNormal(randomKey(0), [1000], -1, 2);
 * console.log((await reduceMin(draws).item()) >= -1, (await reduceMax(draws).item()) <= 2); // true true
 * ```
 */
export function randomTruncatedNormal(key: Tensor, shape: Shape, low = -2, high = 2): Tensor {
  const [below, above] = [normalProbability(low), normalProbability(high)];
  if (!(low < high) || above - below < 2 ** -24) {
    throw new EvenkeelError(
      "range",
      `randomTruncatedNormal: next to no normal number is from ${low} to ${high}. Give bounds in order, nearer to 0.`,
    );
  }
  const unit = unitUniform("randomTruncatedNormal", key, shape);
  // The lower side has the finer quantiles: it is to be the longer one.
  return low + high > 0 ? negate(quantiles(unit, -high, -low)) : quantiles(unit, low, high);
}

/** The numbers from low to high below which these parts of the normals between them are. */
function quantiles(unit: Tensor, low: number, high: number): Tensor {
  const [below, above] = [normalProbability(low), normalProbability(high)];
  const middle = add(unit, 2 ** -25);
  const p = add(multiply(middle, above - below), below);
  const tail = clamp(minimum(p, subtract(1, p)), 2 ** -25, 0.5);
  const quantile = lowerNormalQuantile(tail);
  return clamp(where(greater(p, 0.5), negate(quantile), quantile), low, high);
}
