/** Elements put into a tensor by indices. Along one axis `scatterAlong` does it; several axes become one first. */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape, normalizeAxis, sameShape, sizeOf } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { checkIndex, gatherAlong, padAlong, requireIndex, scatterAlong, sliceAlong } from "./alongAxis.ts";
import { iota } from "./creation.ts";
import { add, equal, lessEqual, maximum, minimum, multiply, negate, not, where } from "./elementwise.ts";
import { flatIndex } from "./indexing.ts";
import { broadcastTo, reshape } from "./movement.ts";
import { sortedOrder } from "./order.ts";

/**
 * What becomes of an element of x and the values that have its index: `set`, the last of the values; else the sum, product, maximum or
 * minimum of all. NaN wins in `max` and `min`.
 */
export type ScatterMode = "set" | "add" | "multiply" | "max" | "min";

/**
 * x with values put where the index says, each place with an index of its own: NumPy's `put_along_axis`, PyTorch's `scatter` and
 * `scatter_reduce`. In two dimensions and along axis 1 value [i, k] goes to `x[i, index[i, k]]`. Where several have one index, `set` takes
 * the last along the axis. The work is linear in x and values, but for `multiply`, which sorts the indices; on `webgpu`, `webgl2` and `cpu`
 * it is the number of values along the axis times the size of x.
 *
 * Derivatives: those of `set` go to the values that were taken, of `add` to all, of `multiply` to all, with zeros among them, too. In
 * `max` and `min` the largest values share as in `reduceMax`, and x and they as in `maximum`; where they are no better than no value, all
 * -Infinity in `max`, x has it alone. What isn't chosen gets 0, whatever flows back.
 * @param index i32 of the rank of x: any size along the axis; outside of it the size of x, or 1: the same for all. An index out of range is
 * an error when the program runs.
 * @param values of the dtype of x; broadcast to the shape of x with the size of the index along the axis
 * @throws EvenkeelError `shape` or `dtype` if something doesn't fit; bool can only be `set`.
 * @example
 * ```ts
 * const index = tensor([0, 2, 2], { dtype: "i32" });
 * console.log(await scatterAlongAxis(zeros([3]), index, tensor([1, 2, 3]), 0, "add").array()); // [ 1, 0, 5 ]
 * ```
 */
export function scatterAlongAxis(x: Tensor, index: Tensor, values: Tensor, axis: number, mode: ScatterMode): Tensor {
  const along = normalizeAxis("scatterAlongAxis", axis, x.rank);
  requireIndex("scatterAlongAxis", index);
  requireValues("scatterAlongAxis", x, values, mode);
  const fits =
    index.rank === x.rank && index.shape.every((size, i) => i === along || size === 1 || size === x.shape[i]);
  if (!fits) {
    throw new EvenkeelError(
      "shape",
      `scatterAlongAxis: index ${formatShape(index.shape)} doesn't fit ${formatShape(x.shape)}: outside of axis ${along} sizes must be those of x or 1.`,
    );
  }
  const shape = x.shape.with(along, at(index.shape, along));
  if (values.rank > x.rank || !broadcasts(values.shape, shape)) {
    throw new EvenkeelError(
      "shape",
      `scatterAlongAxis: values ${formatShape(values.shape)} don't broadcast to ${formatShape(shape)}, x with the index along axis ${along}.`,
    );
  }
  return combined(x, checkIndex("scatterAlongAxis", index, x.shape, along), broadcastTo(values, shape), along, mode);
}

/**
 * x with elements or parts put at coordinates: TensorFlow's and ONNX's `scatter_nd`. With x [A, B, C] and indices [N, 2] the values are
 * [N, C], and values[n] goes to `x[indices[n, 0], indices[n, 1]]`. Where several have the same coordinates, `set` takes the last. Work and
 * derivatives are those of {@link scatterAlongAxis}, with all axes that the coordinates are of as one.
 * @param indices i32 [.., K]: K coordinates each, for the first K axes of x. One out of range is an error when the program runs.
 * @param values of the dtype of x: [.., ...rest], where rest is the shape of x behind its first K axes
 * @throws EvenkeelError `shape` or `dtype` if something doesn't fit; bool can only be `set`.
 * @example
 * ```ts
 * const places = tensor([[0, 1], [1, 0]], { dtype: "i32" });
 * console.log(await scatterNd(zeros([2, 2]), places, tensor([5, 6]), "set").array()); // [ [ 0, 5 ], [ 6, 0 ] ]
 * ```
 */
export function scatterNd(x: Tensor, indices: Tensor, values: Tensor, mode: ScatterMode): Tensor {
  requireIndex("scatterNd", indices);
  requireValues("scatterNd", x, values, mode);
  const [count = x.rank + 1] = indices.shape.slice(-1);
  const places = indices.shape.slice(0, -1);
  const rest = x.shape.slice(count);
  if (count > x.rank || !sameShape(values.shape, [...places, ...rest])) {
    throw new EvenkeelError(
      "shape",
      `scatterNd: indices ${formatShape(indices.shape)} and values ${formatShape(values.shape)} don't fit ${formatShape(x.shape)}: expected ` +
        `indices [.., K] and values [.., ...rest], where rest is the shape of x without its first K axes.`,
    );
  }
  const index = reshape(flatIndex("scatterNd", indices, x.shape, 0), [sizeOf(places), 1]);
  const rows = reshape(x, [sizeOf(x.shape.slice(0, count)), sizeOf(rest)]);
  const put = combined(rows, index, reshape(values, [sizeOf(places), sizeOf(rest)]), 0, mode);
  return reshape(put, x.shape);
}

/** x [.., size, ..] with values [.., n, ..] by an index that is known to fit. */
function combined(x: Tensor, index: Tensor, values: Tensor, axis: number, mode: ScatterMode): Tensor {
  if (values.size === 0) return x;
  const size = at(x.shape, axis);
  switch (mode) {
    case "set":
      return where(...lastOf(values, index, axis, size), x);
    case "add":
      return add(x, scatterAlong("sum", values, index, axis, size));
    case "max":
      return folded(maximum, x, scatterAlong("max", values, index, axis, size), -Infinity);
    case "min": {
      // Complement reverses the order of integers, the lowest and the highest too.
      const reversed = (y: Tensor): Tensor => (y.dtype === "f32" ? negate(y) : not(y));
      return folded(minimum, x, reversed(scatterAlong("max", reversed(values), index, axis, size)), Infinity);
    }
    case "multiply":
      return multiply(x, productsOf(values, index, axis, size));
  }
}

/** x and what was put: where that is the neutral element it may be that nothing was, and x alone has the derivative. */
function folded(fold: typeof maximum, x: Tensor, put: Tensor, neutral: number): Tensor {
  return x.dtype === "f32" ? where(equal(put, neutral), x, fold(x, put)) : fold(x, put);
}

/** Of `size` places along the axis: whether a value has its index, and the last of those that have. */
function lastOf(values: Tensor, index: Tensor, axis: number, size: number): readonly [Tensor, Tensor] {
  const last = scatterAlong("max", iota(index.shape, axis), index, axis, size);
  return [lessEqual(0, last), gatherAlong(values, maximum(last, 0), axis)];
}

/**
 * Of `size` places along the axis the product of the values that have its index. With the values in the order of their indices, each
 * becomes the product of itself and those before it with the same index, over distances of 1, 2, 4 and so on.
 */
function productsOf(values: Tensor, index: Tensor, axis: number, size: number): Tensor {
  const order = sortedOrder(index, axis, false);
  const rows = gatherAlong(index, order, axis);
  const count = at(index.shape, axis);
  const before = (x: Tensor, distance: number, fill: number): Tensor => {
    return padAlong(sliceAlong(x, axis, 0, count - distance), axis, distance, 0, fill);
  };
  let products = gatherAlong(values, order, axis);
  for (let distance = 1; distance < count; distance *= 2) {
    // A factor of another index is left out before it is multiplied: it may be infinite, also on the way back.
    const isSame = equal(rows, before(rows, distance, -1));
    products = multiply(products, where(isSame, before(products, distance, 1), 1));
  }
  return where(...lastOf(products, rows, axis, size), 1);
}

function requireValues(operation: string, x: Tensor, values: Tensor, mode: ScatterMode): void {
  if (x.dtype !== values.dtype) {
    throw new EvenkeelError(
      "dtype",
      `${operation}: values are ${values.dtype}, x is ${x.dtype}. Use cast(values, "${x.dtype}").`,
    );
  }
  if (x.dtype === "bool" && mode !== "set") {
    throw new EvenkeelError(
      "dtype",
      `${operation}: mode ${mode} of bool. Use "set", or cast x and values to i32 first.`,
    );
  }
}

/** Whether x becomes `shape` by NumPy's rule. */
function broadcasts(x: readonly number[], shape: readonly number[]): boolean {
  return x.every((size, i) => size === 1 || size === shape[shape.length - x.length + i]);
}
