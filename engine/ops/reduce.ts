import { EvenkeelError } from "../errors.ts";
import { makeNode } from "../graph/graph.ts";
import { at, formatShape, normalizeAxes, normalizeAxis, sizeOf } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import {
  add,
  and,
  cast,
  divide,
  equal,
  exp,
  log,
  multiply,
  negate,
  not,
  requireDtype,
  square,
  stopGradient,
  subtract,
  where,
  clamp,
  isFinite,
} from "./elementwise.ts";
import { iota, scalar } from "./creation.ts";
import { concat, reshape } from "./movement.ts";

/** Over which axes to reduce, and what becomes of them. */
export type ReduceOptions = {
  /** Axes to reduce; negative ones count from the end. Default: all. */
  readonly axes?: number | readonly number[] | undefined;
  /** Keep the reduced axes with size 1. Default: false. */
  readonly keepAxes?: boolean | undefined;
};

function dropAxes(kept: Tensor, axes: readonly number[], options: ReduceOptions): Tensor {
  if (options.keepAxes === true) return kept;
  return reshape(
    kept,
    kept.shape.filter((_, axis) => !axes.includes(axis)),
  );
}

function reduce(operation: string, op: "sum" | "max", x: Tensor, options: ReduceOptions): Tensor {
  const axes = normalizeAxes(operation, options.axes, x.rank);
  const counted = x.dtype === "bool" ? cast(x, "i32") : x;
  const kept = axes.length === 0 ? counted : new Tensor(makeNode("reduce", [counted.node], { op, axes }));
  return dropAxes(kept, axes, options);
}

function requireNonEmpty(operation: string, x: Tensor, options: ReduceOptions): void {
  const axes = normalizeAxes(operation, options.axes, x.rank);
  const empty = axes.find((axis) => x.shape[axis] === 0);
  if (empty !== undefined) {
    throw new EvenkeelError(
      "shape",
      `${operation}: axis ${empty} of ${formatShape(x.shape)} is empty and has no ${operation}.`,
    );
  }
}

/**
 * Sum over axes; 0 where they are empty. bool is counted as i32.
 * @example console.log(await reduceSum(tensor([[1, 2], [3, 6]]), { axes: 0 }).array()); // [ 4, 8 ]
 */
export function reduceSum(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduce("reduceSum", "sum", x, options);
}

/**
 * Largest element over axes; NaN wins. Equal largest elements share the derivative, the others have none; where a NaN won, all have NaN.
 * @throws EvenkeelError `shape` for an empty axis.
 * @example console.log(await reduceMax(tensor([[1, 2], [3, 6]]), { axes: 1 }).array()); // [ 2, 6 ]
 */
export function reduceMax(x: Tensor, options: ReduceOptions = {}): Tensor {
  requireNonEmpty("reduceMax", x, options);
  return reduce("reduceMax", "max", x, options);
}

/**
 * Smallest element over axes; NaN wins. Its derivative is shared as `reduceMax`'s.
 * @throws EvenkeelError `shape` for an empty axis.
 * @example console.log(await reduceMin(tensor([[1, 2], [3, 6]])).array()); // 1
 */
export function reduceMin(x: Tensor, options: ReduceOptions = {}): Tensor {
  requireNonEmpty("reduceMin", x, options);
  // Negation would map the lowest i32 to itself and turn u32 around; complement reverses the order of both.
  if (x.dtype === "f32") return negate(reduce("reduceMin", "max", negate(x), options));
  const counted = x.dtype === "bool" ? cast(x, "i32") : x;
  return not(reduce("reduceMin", "max", not(counted), options));
}

function countOver(operation: string, x: Tensor, options: ReduceOptions): number {
  return sizeOf(normalizeAxes(operation, options.axes, x.rank).map((axis) => at(x.shape, axis)));
}

/**
 * Arithmetic mean over axes; NaN where they are empty, as in NumPy. f32.
 * @example console.log(await mean(tensor([[1, 2], [3, 6]]), { axes: 1, keepAxes: true }).array()); // [ [ 1.5 ], [ 4.5 ] ]
 */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  requireDtype("mean", x.dtype, ["f32"]);
  return divide(reduceSum(x, options), countOver("mean", x, options));
}

/** Options of `variance`. */
export type VarianceOptions = ReduceOptions & {
  /** Divide by n - correction, at least 0. 0: population (default), 1: sample. */
  readonly correction?: number | undefined;
};

/**
 * Mean squared distance from the mean over axes, in two passes. f32.
 * @example console.log(await variance(tensor([[1, 2], [3, 6]]), { axes: 1 }).array()); // [ 0.25, 2.25 ]
 */
export function variance(x: Tensor, options: VarianceOptions = {}): Tensor {
  requireDtype("variance", x.dtype, ["f32"]);
  const centred = subtract(x, mean(x, { axes: options.axes, keepAxes: true }));
  const count = countOver("variance", x, options) - (options.correction ?? 0);
  return divide(reduceSum(square(centred), options), Math.max(0, count));
}

/**
 * True where every element over axes is true (bool or non-zero).
 * @example console.log(await all(tensor([true, false])).array()); // false
 */
export function all(x: Tensor, options: ReduceOptions = {}): Tensor {
  return not(any(not(cast(x, "bool")), options));
}

/**
 * True where any element over axes is true (bool or non-zero).
 * @example console.log(await any(tensor([true, false])).array()); // true
 */
export function any(x: Tensor, options: ReduceOptions = {}): Tensor {
  return equal(reduce("any", "max", cast(cast(x, "bool"), "u32"), options), 1);
}

/**
 * Index (i32) of the first largest element along one axis; the first NaN if there is one.
 * @example console.log(await argmax(tensor([[1, 3, 2], [9, 8, 7]])).array()); // [ 1, 0 ]
 */
export function argmax(x: Tensor, axis = -1, keepAxes = false): Tensor {
  if (x.dtype === "bool") return argmax(cast(x, "i32"), axis, keepAxes);
  const along = normalizeAxis("argmax", axis, x.rank);
  requireNonEmpty("argmax", x, { axes: along });
  const largest = reduceMax(x, { axes: along, keepAxes: true });
  // NaN equals nothing: there, the elements that are not equal to themselves are the ones sought.
  const isLargest =
    x.dtype === "f32" ? where(equal(largest, largest), equal(x, largest), not(equal(x, x))) : equal(x, largest);
  const size = at(x.shape, along);
  return reduceMin(where(isLargest, iota(x.shape, along), size), { axes: along, keepAxes });
}

/**
 * Index (i32) of the first smallest element along one axis; the first NaN if there is one.
 * @example console.log(await argmin(tensor([[3, 1, 2], [7, 8, 9]])).array()); // [ 1, 0 ]
 */
export function argmin(x: Tensor, axis = -1, keepAxes = false): Tensor {
  const numbers = x.dtype === "bool" ? cast(x, "i32") : x;
  normalizeAxis("argmin", axis, x.rank);
  requireNonEmpty("argmin", x, { axes: axis });
  // As in reduceMin: complement reverses the order of all integers.
  return argmax(numbers.dtype === "f32" ? negate(numbers) : not(numbers), axis, keepAxes);
}

/** The largest finite f32. */
const largestFinite = 3.4028234663852886e38;

/**
 * ln(sum(exp(x))) over axes, without overflow. f32. Its derivative is softmax(x); where all elements are -infinity, it is 0.
 * @throws EvenkeelError `shape` for an empty axis.
 * @example console.log(await logSumExp(tensor([1000, 1000])).array()); // 1000.7
 */
export function logSumExp(x: Tensor, options: ReduceOptions = {}): Tensor {
  requireDtype("logSumExp", x.dtype, ["f32"]);
  requireNonEmpty("logSumExp", x, options);
  const largest = stopGradient(reduceMax(x, { axes: options.axes, keepAxes: true }));
  const shift = clamp(largest, -largestFinite, largestFinite);
  const sum = reduceSum(exp(subtract(x, shift)), { axes: options.axes, keepAxes: true });
  // The largest element alone gives 1, unless it is -infinity. The logarithm of 0 would have an infinite derivative.
  const isNothing = equal(sum, 0);
  const total = where(isNothing, -Infinity, log(where(isNothing, 1, sum)));
  return dropAxes(add(total, shift), normalizeAxes("logSumExp", options.axes, x.rank), options);
}

/**
 * exp(x) / sum(exp(x)) along one axis, without overflow. f32. Elements of -infinity get 0; a row of nothing else, or one with NaN or
 * +infinity, is NaN.
 * @throws EvenkeelError `shape` for an empty axis.
 * @example console.log(await softmax(tensor([1, 2, 3])).array()); // [ 0.090031, 0.24473, 0.66524 ]
 */
export function softmax(x: Tensor, axis = -1): Tensor {
  requireDtype("softmax", x.dtype, ["f32"]);
  const along = normalizeAxis("softmax", axis, x.rank);
  requireNonEmpty("softmax", x, { axes: along });
  const shifted = exp(subtract(x, stopGradient(reduceMax(x, { axes: along, keepAxes: true }))));
  return divide(shifted, reduceSum(shifted, { axes: along, keepAxes: true }));
}

/**
 * ln(softmax(x)) along one axis, as accurate for large elements as for small ones; NaN where softmax is. f32.
 * @throws EvenkeelError `shape` for an empty axis.
 * @example console.log(await logSoftmax(tensor([0, 1000])).array()); // [ -1000, 0 ]
 */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  requireDtype("logSoftmax", x.dtype, ["f32"]);
  const along = normalizeAxis("logSoftmax", axis, x.rank);
  requireNonEmpty("logSoftmax", x, { axes: along });
  // Differences to the largest element first: beside its logarithm large elements would lose their digits.
  const shifted = subtract(x, stopGradient(reduceMax(x, { axes: along, keepAxes: true })));
  return subtract(shifted, log(reduceSum(exp(shifted), { axes: along, keepAxes: true })));
}

/**
 * Whether all elements of all tensors are finite: a bool scalar, true if there are none.
 * @example console.log(await allFinite([tensor([1, 2]), tensor([NaN])]).array()); // false
 */
export function allFinite(tensors: readonly Tensor[]): Tensor {
  const [first = scalar(1, "bool"), ...rest] = tensors.map((x) => all(isFinite(x)));
  return rest.reduce((left, right) => and(left, right), first);
}

/**
 * The sum of all elements of all tensors, as a scalar; 0 if there are none. They are added in few stages, however many tensors there are:
 * first the rows of each, then the sums of all rows side by side.
 * @throws EvenkeelError `dtype` if dtypes differ.
 * @example console.log(await sumOfAll([tensor([1, 2]), tensor([[3]])]).array()); // 6
 */
export function sumOfAll(tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 0) return scalar(0);
  // Those of few axes, of which nothing is added before they lie side by side, are put behind the others: neighbours are alike then.
  const rows = tensors
    .map((x) => x.shape.filter((size) => size !== 1))
    .map((shape, i) => reshape(at(tensors, i), shape));
  const sums = [...rows.filter(({ rank }) => rank > 1), ...rows.filter(({ rank }) => rank < 2)].map((x) => {
    const own = reduceSum(x, { axes: x.shape.flatMap((_, axis) => (axis === 0 ? [] : [axis])) });
    return reshape(own, [own.size]);
  });
  return reduceSum(concat(sums));
}

/**
 * The sum of squares of all elements of all tensors, as a scalar: the square of the global norm. 0 if there are none.
 * @example console.log(await sumOfSquares([tensor([1, 2]), tensor([[3]])]).array()); // 14
 */
export function sumOfSquares(tensors: readonly Tensor[]): Tensor {
  return sumOfAll(tensors.map((x) => multiply(x, x)));
}
