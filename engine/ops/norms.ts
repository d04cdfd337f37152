/**
 * Roots of sums of squares. Their results are in the range of float32 where squares aren't, from about 1e19 on and below 1e-19. So
 * elements are scaled first, by a power of two that rounds nothing: 1 for elements of ordinary size.
 */
import { normalizeAxes } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import {
  absolute,
  divide,
  equal,
  less,
  lessEqual,
  multiply,
  requireDtype,
  sqrt,
  square,
  stopGradient,
  subtract,
  where,
} from "./elementwise.ts";
import { scalar } from "./creation.ts";
import { reshape, slice } from "./movement.ts";
import { mean, reduceMax, type ReduceOptions, reduceSum, variance, type VarianceOptions } from "./reduce.ts";

/**
 * A power of two that brings `largest` between 2^-24 and 2^48 (subnormal numbers: to 2^-61 or more). Sums of 2^24 squares stay in
 * float32's range then, and so do quotients of a first and a second derivative on their way. In few, wide steps, since the graph
 * language has no exponents: constant almost everywhere.
 */
function scaleFor(largest: Tensor): Tensor {
  const small = where(less(largest, 2 ** -72), 2 ** 88, 2 ** 48);
  const large = where(lessEqual(2 ** 72, largest), 2 ** -80, 2 ** -48);
  return where(less(largest, 2 ** -24), small, where(lessEqual(2 ** 24, largest), large, 1));
}

/** The root of a sum of squares, with the derivative 0 at 0: that of any norm whose elements are all 0. */
function rootOfSquares(sum: Tensor): Tensor {
  const isZero = equal(sum, 0);
  return where(isZero, 0, sqrt(where(isZero, 1, sum)));
}

/** Over axes that it keeps, with f(s x) = s f(x) for every s > 0. */
type Homogeneous = (x: Tensor, kept: { readonly axes: readonly number[]; readonly keepAxes: true }) => Tensor;

/** f(x) by way of elements whose squares are in range. */
function scaled(operation: string, x: Tensor, options: ReduceOptions, f: Homogeneous): Tensor {
  requireDtype(operation, x.dtype, ["f32"]);
  const axes = normalizeAxes(operation, options.axes, x.rank);
  const kept = { axes, keepAxes: true } as const;
  const scale = isNonEmpty(x, axes) ? scaleFor(reduceMax(absolute(stopGradient(x)), kept)) : scalar(1);
  const result = divide(f(multiply(x, scale), kept), scale);
  if (options.keepAxes === true) return result;
  return reshape(
    result,
    result.shape.filter((_, axis) => !axes.includes(axis)),
  );
}

function isNonEmpty(x: Tensor, axes: readonly number[]): boolean {
  return axes.every((axis) => x.shape[axis] !== 0);
}

/**
 * Euclidean norm over axes, right for elements of any magnitude. Its derivative at 0 is 0. f32.
 * @example console.log(await norm(tensor([3, 4])).array()); // 5
 */
export function norm(x: Tensor, options: ReduceOptions = {}): Tensor {
  return scaled("norm", x, options, (y, kept) => rootOfSquares(reduceSum(square(y), kept)));
}

/**
 * Root mean square over axes: the "magnitude" of the EDM2 paper (Karras et al. 2024, Eq. 3). Right for elements of any magnitude; its
 * derivative at 0 is 0. f32.
 * @example console.log(await rootMeanSquare(tensor([1, 7])).array()); // 5
 */
export function rootMeanSquare(x: Tensor, options: ReduceOptions = {}): Tensor {
  return scaled("rootMeanSquare", x, options, (y, kept) => rootOfSquares(mean(square(y), kept)));
}

/**
 * Square root of the variance over axes, right for elements of any magnitude. Of equal elements it is 0, with the derivative 0. f32.
 * @example console.log(await standardDeviation(tensor([1, 7])).array()); // 3
 */
export function standardDeviation(x: Tensor, options: VarianceOptions = {}): Tensor {
  const { correction } = options;
  return scaled("standardDeviation", x, options, (y, kept) =>
    rootOfSquares(variance(besideFirst(y, kept.axes), { ...kept, correction })),
  );
}

/** Differences to the first element over axes: 0 if all are equal, where those to a rounded mean would not be. */
function besideFirst(x: Tensor, axes: readonly number[]): Tensor {
  if (!isNonEmpty(x, axes)) return x;
  const first = slice(
    x,
    x.shape.map((_, axis) => (axes.includes(axis) ? [0, 1] : null)),
  );
  return subtract(x, stopGradient(first));
}
