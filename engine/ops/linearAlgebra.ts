/**
 * Systems of equations, determinants and Cholesky factors of batches of small matrices: elimination written out step by step, each step
 * over the whole batch. A program grows with the number of rows, so this is for matrices of a few dozen rows at most. Derivatives of
 * any order follow from the steps.
 */
import { EvenkeelError } from "../errors.ts";
import { at, broadcastShapes, formatShape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { matmul } from "./contract.ts";
import { eye, iota, ones, zeros } from "./creation.ts";
import { absolute, add, divide, equal, multiply, not, requireDtype, sqrt, subtract, where } from "./elementwise.ts";
import { broadcastTo, concat, expandDims, pad, reshape, slice, transpose } from "./movement.ts";
import { any, argmax, reduceSum } from "./reduce.ts";

/**
 * x with a @ x = b, by elimination with partial pivoting: a [.., N, N], b [.., N, M] or one vector [N], as NumPy's `solve`; axes in front
 * broadcast. f32. Where a matrix is singular, so that a pivot is 0, all of its x is NaN.
 * @throws EvenkeelError `shape` unless a is square and fits b
 * @example console.log(await solve(tensor([[2, 1], [1, 3]]), tensor([5, 10])).array()); // [ 1, 3 ]
 */
export function solve(a: Tensor, b: Tensor): Tensor {
  requireSquare("solve", a);
  requireDtype("solve (b)", b.dtype, ["f32"]);
  const size = at(a.shape, a.rank - 1);
  const isVector = b.rank === 1;
  const right = isVector ? expandDims(b, 1) : b;
  if (right.rank < 2 || right.shape[right.rank - 2] !== size) {
    throw new EvenkeelError(
      "shape",
      `solve: a ${formatShape(a.shape)} and b ${formatShape(b.shape)} don't fit. Expected b [${size}] or [.., ${size}, M].`,
    );
  }
  const x = solveColumns("solve", a, right);
  return isVector ? reshape(x, x.shape.slice(0, -1)) : x;
}

/**
 * The inverse of each matrix of [.., N, N]; NaN for a singular one. f32. To solve equations `solve` is quicker and more accurate.
 * @throws EvenkeelError `shape` unless x is square
 * @example console.log(await inverse(tensor([[2, 0], [0, 4]])).array()); // [ [ 0.5, 0 ], [ 0, 0.25 ] ]
 */
export function inverse(x: Tensor): Tensor {
  requireSquare("inverse", x);
  return solveColumns("inverse", x, eye(at(x.shape, x.rank - 1)));
}

/** Rows and columns of the matrices in the last two axes. */
type Part = readonly [number, number] | null;
const part = (x: Tensor, rows: Part, columns: Part): Tensor =>
  slice(x, [...x.shape.slice(0, -2).map(() => null), rows, columns]);

/** x without its first row and column, or without one of them. */
const below = (x: Tensor): Tensor => part(x, [1, at(x.shape, x.rank - 2)], null);
const behind = (x: Tensor): Tensor => part(x, null, [1, at(x.shape, x.rank - 1)]);
const topRow = (x: Tensor): Tensor => part(x, [0, 1], null);
const firstColumn = (x: Tensor): Tensor => part(x, null, [0, 1]);

function solveColumns(operation: string, a: Tensor, b: Tensor): Tensor {
  const size = at(a.shape, a.rank - 1);
  const columns = at(b.shape, b.rank - 1);
  const batch = broadcastShapes(operation, a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (size === 0) return zeros([...batch, 0, columns]);
  let rest = concat([broadcastTo(a, [...batch, size, size]), broadcastTo(b, [...batch, size, columns])], -1);
  const rows: Tensor[] = [];
  for (let step = 0; step < size; step++) {
    const { row, others } = pivotRow(rest, absolute(firstColumn(rest)));
    rows.push(row);
    const pivot = firstColumn(row);
    // A pivot of 0 leaves nothing to compute with.
    const divisor = where(equal(pivot, 0), NaN, pivot);
    rest = subtract(behind(others), multiply(divide(firstColumn(others), divisor), behind(row)));
  }
  return rows.reduceRight<Tensor>(
    (known, row) => {
      const count = at(known.shape, known.rank - 2);
      const [pivot, value] = [firstColumn(row), part(row, null, [count + 1, count + 1 + columns])];
      const divisor = where(equal(pivot, 0), NaN, pivot);
      if (count === 0) return divide(value, divisor);
      const x = divide(subtract(value, matmul(part(row, null, [1, count + 1]), known)), divisor);
      return concat([x, known], -2);
    },
    zeros([...batch, 0, columns]),
  );
}

/** The row of x whose `weight` [.., R, 1] is largest, and the others: the first one is put where that row was. */
function pivotRow(
  x: Tensor,
  weight: Tensor,
): { readonly row: Tensor; readonly others: Tensor; readonly isFirst: Tensor } {
  const isPivot = equal(argmax(weight, -2, true), iota([at(weight.shape, weight.rank - 2), 1], 0));
  return exchanged(x, isPivot);
}

/** The one row of x that `isPivot` [.., R, 1] names, the others with the first one in its place, and whether it was the first itself. */
function exchanged(
  x: Tensor,
  isPivot: Tensor,
): { readonly row: Tensor; readonly others: Tensor; readonly isFirst: Tensor } {
  return {
    row: reduceSum(where(isPivot, x, 0), { axes: -2, keepAxes: true }),
    others: where(below(isPivot), topRow(x), below(x)),
    isFirst: topRow(isPivot),
  };
}

/**
 * The determinant of each matrix of [.., N, N], by elimination with full pivoting; 1 of no rows. f32. It is 0 where a matrix is singular, and
 * its derivative is right there, too: the cofactors.
 * @throws EvenkeelError `shape` unless x is square
 * It is a `product` of pivots, infinite or NaN where that of some of them is beyond float32.
 * @example console.log(await determinant(tensor([[1, 2], [3, 4]])).item()); // -2
 */
export function determinant(x: Tensor): Tensor {
  requireSquare("determinant", x);
  const size = at(x.shape, x.rank - 1);
  const batch = x.shape.slice(0, -2);
  if (size === 0) return ones(batch);
  let rest = x;
  let product: Tensor | undefined;
  for (let left = size; left > 2; left--) {
    const flat = reshape(absolute(rest), [...batch, left * left]);
    const isPivot = reshape(equal(argmax(flat, -1, true), iota([left * left], 0)), [...batch, left, left]);
    const rows = exchanged(rest, any(isPivot, { axes: -1, keepAxes: true }));
    const moved = transpose(concat([rows.row, rows.others], -2));
    const columns = exchanged(moved, any(transpose(isPivot), { axes: -1, keepAxes: true }));
    const pivot = firstColumn(columns.row);
    // What is left where the largest element is 0 is 0 everywhere.
    const factors = divide(behind(columns.row), where(equal(pivot, 0), 1, pivot));
    rest = subtract(behind(columns.others), multiply(firstColumn(columns.others), factors));
    const isOdd = not(equal(rows.isFirst, columns.isFirst));
    const signed = where(isOdd, multiply(pivot, -1), pivot);
    product = product === undefined ? signed : multiply(product, signed);
  }
  const last = smallDeterminant(rest);
  return reshape(product === undefined ? last : multiply(product, last), batch);
}

/** Of one or two rows, [.., 1, 1]. */
function smallDeterminant(x: Tensor): Tensor {
  if (x.shape[x.rank - 1] === 1) return x;
  const [top, bottom] = [topRow(x), below(x)];
  return subtract(multiply(firstColumn(top), behind(bottom)), multiply(behind(top), firstColumn(bottom)));
}

/**
 * The lower triangular L with L @ transpose(L) = x of each symmetric, positive definite matrix of [.., N, N]. f32. Of a matrix that isn't
 * symmetric the mean of it and its transpose is meant, as in JAX; so derivatives are symmetric. From the first column on that can't be
 * computed, because the matrix isn't positive definite, elements on and below the diagonal are NaN.
 * @throws EvenkeelError `shape` unless x is square
 * @example console.log(await cholesky(tensor([[4, 2], [2, 5]])).array()); // [ [ 2, 0 ], [ 1, 2 ] ]
 */
export function cholesky(x: Tensor): Tensor {
  requireSquare("cholesky", x);
  const size = at(x.shape, x.rank - 1);
  if (size === 0) return x;
  let rest = multiply(add(x, transpose(x)), 0.5);
  const columns: Tensor[] = [];
  for (let step = 0; step < size; step++) {
    const first = firstColumn(rest);
    const diagonal = sqrt(topRow(first));
    const lower = divide(below(first), diagonal);
    const whole = concat([diagonal, lower], -2);
    columns.push(pad(whole, [...x.shape.slice(0, -2).map((): [number, number] => [0, 0]), [step, 0], [0, 0]]));
    rest = subtract(behind(below(rest)), multiply(lower, transpose(lower)));
  }
  return concat(columns, -1);
}

function requireSquare(operation: string, x: Tensor): void {
  requireDtype(operation, x.dtype, ["f32"]);
  if (x.rank < 2 || x.shape[x.rank - 1] !== x.shape[x.rank - 2]) {
    throw new EvenkeelError(
      "shape",
      `${operation}: ${formatShape(x.shape)} are no square matrices. Expected [.., N, N].`,
    );
  }
}
