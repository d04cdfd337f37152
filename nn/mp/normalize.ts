import { add, divide, equal, mean, sqrt, square, type Tensor, where } from "../../engine/index.ts";

/** Added to the magnitude, outside of the root, so that published weights give the published numbers. */
export const defaultEpsilon = 1e-4;

/**
 * Scales x to unit magnitude: x / (epsilon + RMS of x over `axes`). Axes default to all but the first: one magnitude for
 * each output of a weight. Where x is zero throughout, the result and its derivative are those of x / epsilon.
 * Karras et al. 2024, Eq. 30 and 47, in the form of the published code.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await normalize(tensor([[3, 4]])).array()); // [ [ 0.8485, 1.1313 ] ]
 * ```
 */
export function normalize(x: Tensor, axes?: number | readonly number[], epsilon = defaultEpsilon): Tensor {
  const over = axes ?? Array.from({ length: Math.max(x.rank - 1, 0) }, (_, i) => i + 1);
  const meanSquare = mean(square(x), { axes: over, keepAxes: true });
  // The root has no derivative at zero, and zero times infinity would spoil every gradient behind it.
  const isZero = equal(meanSquare, 0);
  const magnitude = where(isZero, 0, sqrt(where(isZero, 1, meanSquare)));
  return divide(x, add(magnitude, epsilon));
}

/**
 * Unit magnitude over the channels at each pixel of x [N, C, H, W]. Section 2.4 (configuration F).
 * @example
 * ```ts
 * import { ones, rootMeanSquare } from "evenkeel/engine";
 *
 * console.log(await rootMeanSquare(pixelNorm(ones([1, 8, 2, 2]).multiply(5))).item()); // 0.99998
 * ```
 */
export function pixelNorm(x: Tensor, epsilon = defaultEpsilon): Tensor {
  return normalize(x, 1, epsilon);
}
