/** Diagonals and triangles of matrices. */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { iota, zeros } from "./creation.ts";
import { add, equal, lessEqual, where } from "./elementwise.ts";
import { broadcastTo, expandDims, pad, reshape, slice } from "./movement.ts";

/**
 * Of a vector [n], the square matrix with it on a diagonal and zeros elsewhere; of a matrix [rows, columns], its diagonal. `offset` counts
 * diagonals to the right of the main one; negative: below.
 * @throws EvenkeelError `shape` for other ranks, `range` if the offset isn't a whole number or the matrix has no such diagonal.
 * @example
 * ```ts
 * console.log(await diag(tensor([1, 2])).array()); // [ [ 1, 0 ], [ 0, 2 ] ]
 * console.log(await diag(tensor([[1, 2], [3, 4]]), 1).array()); // [ 2 ]
 * ```
 */
export function diag(x: Tensor, offset = 0): Tensor {
  requireOffset("diag", offset);
  const [right, below] = [Math.max(0, offset), Math.max(0, -offset)];
  if (x.rank === 1) {
    const size = x.size + right + below;
    // In row i is x[i - below], in the column `offset` further to the right.
    const ofRows = broadcastTo(expandDims(pad(x, [[below, right]]), 1), [size, size]);
    return where(equal(add(iota([size, size], 0), offset), iota([size, size], 1)), ofRows, 0);
  }
  if (x.rank !== 2) {
    throw new EvenkeelError("shape", `diag: x is ${formatShape(x.shape)}, expected a vector or a matrix.`);
  }
  const [rows, columns] = [at(x.shape, 0), at(x.shape, 1)];
  const length = Math.min(rows - below, columns - right);
  if (length < 0) {
    throw new EvenkeelError(
      "range",
      `diag: ${formatShape(x.shape)} has no diagonal ${offset}; expected ${-rows} to ${columns}.`,
    );
  }
  if (length === 0) return zeros([0], x.dtype);
  const start = below * columns + right;
  return slice(reshape(x, [x.size]), [[start, start + (length - 1) * (columns + 1) + 1, columns + 1]]);
}

/**
 * x [.., rows, columns] on and below a diagonal, 0 above: NumPy's `tril`. The triangle of ones itself is `lowerTriangle`.
 * @param diagonal how many diagonals to the right of the main one are kept; negative: below
 * @throws EvenkeelError `shape` for fewer than two axes, `range` unless `diagonal` is a whole number.
 * @example console.log(await keepLowerTriangle(tensor([[1, 2], [3, 4]])).array()); // [ [ 1, 0 ], [ 3, 4 ] ]
 */
export function keepLowerTriangle(x: Tensor, diagonal = 0): Tensor {
  const [row, column] = places("keepLowerTriangle", x, diagonal);
  return where(lessEqual(column, add(row, diagonal)), x, 0);
}

/**
 * x [.., rows, columns] on and above a diagonal, 0 below: NumPy's `triu`.
 * @param diagonal the first diagonal that is kept, counted to the right of the main one; negative: below
 * @throws EvenkeelError as {@link keepLowerTriangle}.
 * @example console.log(await keepUpperTriangle(tensor([[1, 2], [3, 4]]), 1).array()); // [ [ 0, 2 ], [ 0, 0 ] ]
 */
export function keepUpperTriangle(x: Tensor, diagonal = 0): Tensor {
  const [row, column] = places("keepUpperTriangle", x, diagonal);
  return where(lessEqual(add(row, diagonal), column), x, 0);
}

function places(operation: string, x: Tensor, diagonal: number): readonly [Tensor, Tensor] {
  requireOffset(operation, diagonal);
  if (x.rank < 2) {
    throw new EvenkeelError("shape", `${operation}: x is ${formatShape(x.shape)}, expected [.., rows, columns].`);
  }
  const shape = x.shape.slice(-2);
  return [iota(shape, 0), iota(shape, 1)];
}

function requireOffset(operation: string, offset: number): void {
  if (!Number.isInteger(offset) || Math.abs(offset) >= 2 ** 31) {
    throw new EvenkeelError("range", `${operation}: diagonal ${offset} is not a whole number below 2^31.`);
  }
}
