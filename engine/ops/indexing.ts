/** Elements taken from a tensor by indices. Along one axis `gatherAlong` does it; several axes become one first. */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape, normalizeAxis, rowMajorStrides, sameShape, type Shape, sizeOf } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { alongAxisShape, check, checkIndex, gatherAlong, requireIndex, scatterAlong } from "./alongAxis.ts";
import { full, iota, scalar } from "./creation.ts";
import { add, and, less, lessEqual, maximum, minimum, multiply, or, subtract, where } from "./elementwise.ts";
import { broadcastTo, reshape, slice } from "./movement.ts";

/**
 * Rows of x along an axis: NumPy's `take`. `index` is i32 of any shape, which replaces the axis.
 * An index out of range is an error when the program runs.
 * @example console.log(await gather(tensor([10, 20, 30]), tensor([2, 0, 2], { dtype: "i32" })).array()); // [ 30, 10, 30 ]
 */
export function gather(x: Tensor, index: Tensor, axis = 0): Tensor {
  const along = normalizeAxis("gather", axis, x.rank);
  requireIndex("gather", index);
  requireElements("gather", x.shape, along, index);
  const rows = reshape(checkIndex("gather", index, x.shape, along), alongAxisShape(index.size, along, x.rank));
  const taken = gatherAlong(x, rows, along);
  return reshape(taken, [...x.shape.slice(0, along), ...index.shape, ...x.shape.slice(along + 1)]);
}

/**
 * The derivative of {@link gather}: zeros with `size` rows along an axis, to which every row of the values is added where its
 * index says. Rows with the same index add up, on `wasm` and the oracle in their order; the work is linear in values and result.
 * Add the result to a tensor to add rows to that: it is computed in one go.
 * @param values f32, i32 or u32; from `axis` on it has the axes of `index`, which become one: what `gather` with this index gives
 * @param index i32 of any shape. An index out of range is an error when the program runs.
 * @example console.log(await scatterAdd(tensor([1, 2, 3]), tensor([2, 0, 2], { dtype: "i32" }), 3).array()); // [ 2, 0, 4 ]
 */
export function scatterAdd(values: Tensor, index: Tensor, size: number, axis = 0): Tensor {
  requireIndex("scatterAdd", index);
  if (values.dtype === "bool") {
    throw new EvenkeelError("dtype", 'scatterAdd: values of dtype bool have no sum. Use cast(values, "i32").');
  }
  const mismatch = (place: number): EvenkeelError =>
    new EvenkeelError(
      "shape",
      `scatterAdd: values ${formatShape(values.shape)} should have the axes of the index, ${formatShape(index.shape)}, from axis ${place} on.`,
    );
  // The result has the axes of the values, of which those of the index are one.
  const rank = values.rank - index.rank + 1;
  if (rank < 1) throw mismatch(axis);
  const along = normalizeAxis("scatterAdd", axis, rank);
  const [before, after] = [values.shape.slice(0, along), values.shape.slice(along + index.rank)];
  if (!sameShape(values.shape.slice(along, along + index.rank), index.shape)) throw mismatch(along);
  if (!Number.isInteger(size) || size < 0 || size >= 2 ** 31 || (size === 0 && index.size > 0)) {
    throw new EvenkeelError(
      "range",
      `scatterAdd: axis ${along} of size ${size} has no place for ${index.size} rows. Give the number of rows of the result, below 2^31.`,
    );
  }
  const rows = reshape(values, [...before, index.size, ...after]);
  const places = checkIndex("scatterAdd", index, [...before, size, ...after], along);
  return scatterAlong("sum", rows, reshape(places, alongAxisShape(index.size, along, rank)), along, size);
}

/**
 * Elements of x along an axis, each place with an index of its own: NumPy's `take_along_axis`, PyTorch's `gather`. In two dimensions and
 * along axis 1 element [i, k] is `x[i, index[i, k]]`.
 * @param index i32 of the rank of x: any size along the axis; other sizes broadcast with those of x. An index out of range is an error
 * when the program runs.
 * @returns [..] of the sizes of the index, broadcast
 * @throws EvenkeelError `shape` if ranks differ or sizes don't broadcast, `dtype` for another index, `range` if the axis is empty.
 * @example
 * ```ts
 * const x = tensor([[3, 1, 2], [4, 6, 5]]);
 * console.log(await takeAlongAxis(x, argmax(x, 1, true)).array()); // [ [ 3 ], [ 6 ] ]
 * ```
 */
export function takeAlongAxis(x: Tensor, index: Tensor, axis = -1): Tensor {
  const along = normalizeAxis("takeAlongAxis", axis, x.rank);
  requireIndex("takeAlongAxis", index);
  requireElements("takeAlongAxis", x.shape, along, index);
  const fits =
    index.rank === x.rank &&
    index.shape.every((size, i) => i === along || size === x.shape[i] || size === 1 || x.shape[i] === 1);
  if (!fits) {
    throw new EvenkeelError(
      "shape",
      `takeAlongAxis: index ${formatShape(index.shape)} doesn't fit ${formatShape(x.shape)}: outside of axis ${along} sizes must be equal or 1.`,
    );
  }
  const checked = checkIndex("takeAlongAxis", index, x.shape, along);
  const shape = x.shape.map((size, i) => (i === along || size !== 1 ? size : at(index.shape, i)));
  return gatherAlong(broadcastTo(x, shape), checked, along);
}

/**
 * Elements or parts of x by their coordinates: TensorFlow's and ONNX's `gather_nd`. With x [A, B, C], indices [N, 2] give [N, C]:
 * `x[indices[n, 0], indices[n, 1]]`.
 * @param indices i32 [B.., .., K]: K coordinates each, for the K axes of x behind the batch axes. A coordinate out of range is an error
 * when the program runs.
 * @param batchAxes how many axes in front x and the indices share: each place there takes from its own part of x
 * @returns `[B.., .., ...rest]`: for each of the indices what of x is behind those K axes
 * @throws EvenkeelError `shape` if x has fewer than `batchAxes + K` axes or the batch axes differ, `dtype` for other indices.
 * @example
 * ```ts
 * const places = tensor([[0, 1], [1, 0]], { dtype: "i32" });
 * console.log(await gatherNd(tensor([[1, 2], [3, 4]]), places).array()); // [ 2, 3 ]
 * ```
 */
export function gatherNd(x: Tensor, indices: Tensor, batchAxes = 0): Tensor {
  requireIndex("gatherNd", indices);
  const batch = x.shape.slice(0, batchAxes);
  const places = indices.shape.slice(batchAxes, -1);
  const [count = -1] = indices.shape.slice(-1);
  const fits =
    Number.isInteger(batchAxes) &&
    batchAxes >= 0 &&
    indices.rank > batchAxes &&
    batchAxes + count <= x.rank &&
    sameShape(indices.shape.slice(0, batchAxes), batch);
  if (!fits) {
    throw new EvenkeelError(
      "shape",
      `gatherNd: indices ${formatShape(indices.shape)} don't fit ${formatShape(x.shape)} with ${batchAxes} batch axes: expected ` +
        `[...batch, .., K], with as many coordinates K as x has axes behind the batch at most.`,
    );
  }
  const rest = x.shape.slice(batchAxes + count);
  const index = flatIndex("gatherNd", indices, x.shape, batchAxes);
  if (index.size > 0) requireElements("gatherNd", x.shape, batchAxes, index, count);
  const rows = reshape(x, [sizeOf(batch), sizeOf(x.shape.slice(batchAxes, batchAxes + count)), sizeOf(rest)]);
  const taken = gatherAlong(rows, reshape(index, [sizeOf(batch), sizeOf(places), 1]), 1);
  return reshape(taken, [...batch, ...places, ...rest]);
}

/**
 * @internal Coordinates [.., K] of the K axes of `shape` from `first` on as one index [..] of all these axes as one. A coordinate out of
 * range is an error when the program runs.
 */
export function flatIndex(operation: string, indices: Tensor, shape: Shape, first: number): Tensor {
  const [count = 0] = indices.shape.slice(-1);
  const sizes = shape.slice(first, first + count);
  if (sizeOf(sizes) >= 2 ** 31) {
    throw new EvenkeelError(
      "shape",
      `${operation}: the axes ${formatShape(sizes)} have ${sizeOf(sizes)} places, more than an index can count (below 2^31).`,
    );
  }
  const outer = indices.shape.slice(0, -1);
  const strides = rowMajorStrides(sizes);
  const whole = outer.map(() => null);
  const columns = sizes.map((_, k) => reshape(slice(indices, [...whole, [k, k + 1]]), outer));
  const flat = columns
    .map((column, k) => multiply(column, at(strides, k)))
    .reduce(add, broadcastTo(scalar(0, "i32"), outer));
  const failed = columns.map((column, k) => or(less(column, 0), lessEqual(at(sizes, k), column)));
  const [some, ...others] = failed;
  if (some === undefined) return flat;
  const names = sizes.map((_, k) => first + k).join(", ");
  const message = `${operation}: an index is out of range for ${sizes.length === 1 ? "axis" : "axes"} ${names} of ${formatShape(shape)}.`;
  return check(flat, others.reduce(or, some), message);
}

/** Where a part begins: a number, or an i32 scalar that is known when the program runs. */
export type DynamicStart = Tensor | number;

/**
 * The part of x with the given sizes that begins at `start`, whose elements may be i32 scalars: JAX's `dynamic_slice`, but a part that
 * isn't all within x is an error (`range` for numbers, else when the program runs), not moved.
 * @param start one number or scalar for each axis
 * @param size the size of the part along each axis
 * @throws EvenkeelError `shape` unless there is a start and a size for each axis, `dtype` for starts that are no i32.
 * @example
 * ```ts
 * const at = argmax(tensor([0, 9, 0]));
 * console.log(await dynamicSlice(tensor([10, 20, 30]), [at], [2]).array()); // [ 20, 30 ]
 * ```
 */
export function dynamicSlice(x: Tensor, start: readonly DynamicStart[], size: Shape): Tensor {
  const starts = checkStarts("dynamicSlice", start, size, x.shape);
  const [first, last] = span(starts.map((each) => typeof each !== "number"));
  const fixed = starts.map((each, axis) =>
    typeof each === "number" && (axis < first || axis > last) ? ([each, each + at(size, axis)] as const) : null,
  );
  if (sizeOf(size) === 0) return full(size, 0, x.dtype);
  if (first > last) return slice(x, fixed);
  const inner = size.slice(first, last + 1);
  const places = placesFrom(starts.slice(first, last + 1), inner, x.shape.slice(first, last + 1));
  const taken = slice(takeMerged(x, places, first, last), fixed);
  return reshape(taken, size);
}

/**
 * x with the elements from `start` on replaced by those of `update`, which has the rank of x: JAX's `dynamic_update_slice`, but an update
 * that isn't all within x is an error, as in {@link dynamicSlice}. In a step (`compileStep`) whose new state is an updated array of the old
 * one that nothing else needs, it is written in place.
 * @param start one number or i32 scalar for each axis
 * @throws EvenkeelError `shape` for other ranks, `dtype` if dtypes differ or a start is no i32, `range` for numbers out of range.
 * @example console.log(await dynamicUpdateSlice(zeros([4]), tensor([1, 2]), [scalar(1, "i32")]).array()); // [ 0, 1, 2, 0 ]
 */
export function dynamicUpdateSlice(x: Tensor, update: Tensor, start: readonly DynamicStart[]): Tensor {
  if (update.dtype !== x.dtype) {
    throw new EvenkeelError(
      "dtype",
      `dynamicUpdateSlice: the update is ${update.dtype}, x is ${x.dtype}. Use cast(update, "${x.dtype}").`,
    );
  }
  const starts = checkStarts("dynamicUpdateSlice", start, update.shape, x.shape);
  if (update.size === 0) return x;
  const partial = x.shape.map((size, axis) => size !== update.shape[axis] || typeof starts[axis] !== "number");
  const [first, last] = span(partial);
  if (first > last) return update;
  const [sizes, inner] = [x.shape.slice(first, last + 1), update.shape.slice(first, last + 1)];
  const shape = (length: number, axis: number): number[] => alongAxisShape(length, axis, x.rank);
  const offsets = sizes.map((size, k) => subtract(iota(shape(size, first + k), first + k), at(starts, first + k)));
  const isInside = offsets.map((offset, k) => and(lessEqual(0, offset), less(offset, at(inner, k)))).reduce(and);
  const strides = rowMajorStrides(inner);
  const flat = offsets
    .map((offset, k) => multiply(minimum(maximum(offset, 0), at(inner, k) - 1), at(strides, k)))
    .reduce(add);
  const places = reshape(flat, sizes);
  return where(isInside, reshape(takeMerged(update, places, first, last), x.shape), x);
}

/** The first and the last axis of which it is true; if there is none the first is behind the last. */
function span(flags: readonly boolean[]): readonly [number, number] {
  const first = flags.indexOf(true);
  return first < 0 ? [0, -1] : [first, flags.lastIndexOf(true)];
}

/** Elements of x by places in the axes first to last as one; these become the axes of `places`. */
function takeMerged(x: Tensor, places: Tensor, first: number, last: number): Tensor {
  const [before, after] = [x.shape.slice(0, first), x.shape.slice(last + 1)];
  const merged = reshape(x, [...before, sizeOf(x.shape.slice(first, last + 1)), ...after]);
  const index = reshape(places, alongAxisShape(places.size, first, merged.rank));
  return reshape(gatherAlong(merged, index, first), [...before, ...places.shape, ...after]);
}

/** The places, in axes of the given extents as one, of a part of them that begins at `starts`. */
function placesFrom(starts: readonly DynamicStart[], size: Shape, extents: Shape): Tensor {
  const strides = rowMajorStrides(extents);
  return starts.map((start, axis) => multiply(add(iota(size, axis), start), at(strides, axis))).reduce(add);
}

/** Starts that keep a part of the given size within a tensor, or an error. */
function checkStarts(
  operation: string,
  starts: readonly DynamicStart[],
  size: Shape,
  shape: Shape,
): readonly DynamicStart[] {
  const fits = starts.length === shape.length && size.length === shape.length;
  if (!fits || size.some((count, axis) => !Number.isInteger(count) || count < 0 || count > at(shape, axis))) {
    throw new EvenkeelError(
      "shape",
      `${operation}: a part ${formatShape(size)} with ${starts.length} starts doesn't fit ${formatShape(shape)}: expected a start and a size of at most its own for each axis.`,
    );
  }
  return starts.map((start, axis) => {
    const most = at(shape, axis) - at(size, axis);
    const range = `axis ${axis} of ${formatShape(shape)}: a part of size ${at(size, axis)} begins at 0 to ${most}`;
    if (typeof start === "number") {
      if (Number.isInteger(start) && start >= 0 && start <= most) return start;
      throw new EvenkeelError("range", `${operation}: start ${start} is out of range for ${range}.`);
    }
    requireIndex(`${operation} (start)`, start);
    if (start.rank !== 0) {
      throw new EvenkeelError(
        "shape",
        `${operation}: start of axis ${axis} is ${formatShape(start.shape)}, expected a scalar. Use reshape(start, []).`,
      );
    }
    return check(start, or(less(start, 0), less(most, start)), `${operation}: a start is out of range for ${range}.`);
  });
}

/** @throws EvenkeelError `range` if something is to be taken from no elements. */
function requireElements(operation: string, shape: Shape, axis: number, index: Tensor, axes = 1): void {
  if (index.size > 0 && sizeOf(shape.slice(axis, axis + axes)) === 0) {
    throw new EvenkeelError("range", `${operation}: axis ${axis} of ${formatShape(shape)} is empty, nothing to take.`);
  }
}
