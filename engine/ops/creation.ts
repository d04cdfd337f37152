import type { DType } from "../graph/dtype.ts";
import { makeNode } from "../graph/graph.ts";
import { checkShape, normalizeAxis, type Shape } from "../graph/shape.ts";
import { literal, Tensor, tensor } from "../graph/tensor.ts";
import { less, lessEqual, cast, equal } from "./elementwise.ts";
import { broadcastTo, expandDims } from "./movement.ts";
import { EvenkeelError } from "../errors.ts";

/**
 * A scalar.
 * @example console.log(await scalar(2).item(), scalar(2, "i32").dtype); // 2 i32
 */
export function scalar(value: number, dtype: DType = "f32"): Tensor {
  return literal("scalar", value, dtype);
}

/**
 * All elements equal to `value`.
 * @example console.log(await full([2, 2], 7).array()); // [ [ 7, 7 ], [ 7, 7 ] ]
 */
export function full(shape: Shape, value: number, dtype: DType = "f32"): Tensor {
  return broadcastTo(literal("full", value, dtype), checkShape("full", shape));
}

/**
 * A tensor of zeros. @throws EvenkeelError `shape` for sizes that are no whole numbers from 0.
 * @example console.log(await zeros([2, 3]).array()); // [ [ 0, 0, 0 ], [ 0, 0, 0 ] ]
 */
export const zeros = (shape: Shape, dtype: DType = "f32"): Tensor => full(shape, 0, dtype);
/**
 * A tensor of ones. @throws EvenkeelError `shape`, as `zeros`.
 * @example console.log(await ones([3], "i32").array()); // [ 1, 1, 1 ]
 */
export const ones = (shape: Shape, dtype: DType = "f32"): Tensor => full(shape, 1, dtype);
/**
 * Zeros in the shape and dtype of x.
 * @example console.log(await zerosLike(tensor([1, 2])).array()); // [ 0, 0 ]
 */
export const zerosLike = (x: Tensor): Tensor => full(x.shape, 0, x.dtype);
/**
 * Ones in the shape and dtype of x.
 * @example console.log(await onesLike(tensor([1, 2])).array()); // [ 1, 1 ]
 */
export const onesLike = (x: Tensor): Tensor => full(x.shape, 1, x.dtype);

/**
 * Each element is its coordinate along `axis`.
 * @example console.log(await iota([2, 3], 1).array()); // [ [ 0, 1, 2 ], [ 0, 1, 2 ] ]
 */
export function iota(shape: Shape, axis: number, dtype: DType = "i32"): Tensor {
  const checked = checkShape("iota", shape);
  return new Tensor(makeNode("iota", [], { shape: checked, axis: normalizeAxis("iota", axis, checked.length), dtype }));
}

/**
 * 0, 1, ..., length - 1.
 * @example console.log(await arange(4).array()); // [ 0, 1, 2, 3 ]
 */
export function arange(length: number, dtype: DType = "i32"): Tensor {
  return iota(checkShape("arange", [length]), 0, dtype);
}

/**
 * `count` numbers with equal distances from `start` to `stop`, both included, f32: computed in float64 and rounded once.
 * @throws EvenkeelError `shape` unless the count is a whole number of at least 0, `value` for bounds that are not finite.
 * @example console.log(await linspace(0, 1, 5).array()); // [ 0, 0.25, 0.5, 0.75, 1 ]
 */
export function linspace(start: number, stop: number, count: number): Tensor {
  checkShape("linspace", [count]);
  if (!Number.isFinite(start) || !Number.isFinite(stop)) {
    throw new EvenkeelError("value", `linspace: ${start} to ${stop}: both must be finite numbers.`);
  }
  const last = Math.max(1, count - 1);
  return tensor(Float32Array.from({ length: count }, (_, i) => start * ((last - i) / last) + stop * (i / last)));
}

/**
 * `classes` columns, 1 where the column is the index: [..] of i32 to [.., classes]. Indices out of range give zeros.
 * @example console.log(await oneHot(tensor([2, 0], { dtype: "i32" }), 3).array()); // [ [ 0, 0, 1 ], [ 1, 0, 0 ] ]
 */
export function oneHot(index: Tensor, classes: number, dtype: DType = "f32"): Tensor {
  if (index.dtype !== "i32") {
    throw new EvenkeelError("dtype", `oneHot: index has dtype ${index.dtype}, expected i32. Use cast(index, "i32").`);
  }
  const columns = iota(checkShape("oneHot", [...index.shape, classes]), index.rank, "i32");
  return cast(equal(expandDims(index, -1), columns), dtype);
}

/**
 * The identity matrix [size, size].
 * @example console.log(await eye(2).array()); // [ [ 1, 0 ], [ 0, 1 ] ]
 */
export function eye(size: number, dtype: DType = "f32"): Tensor {
  const shape = checkShape("eye", [size, size]);
  return cast(equal(iota(shape, 0), iota(shape, 1)), dtype);
}

/**
 * 1 on and below the diagonal (`strict`: below only), 0 above: [rows, columns].
 * @example console.log(await lowerTriangle(2, 3).array()); // [ [ 1, 0, 0 ], [ 1, 1, 0 ] ]
 */
export function lowerTriangle(rows: number, columns: number, dtype: DType = "f32", strict = false): Tensor {
  const shape = checkShape("lowerTriangle", [rows, columns]);
  const [row, column] = [iota(shape, 0), iota(shape, 1)];
  return cast(strict ? less(column, row) : lessEqual(column, row), dtype);
}
