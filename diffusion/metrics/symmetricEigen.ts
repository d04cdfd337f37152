import { atOnce, EvenkeelError } from "../../engine/index.ts";
import { dividingAndConquering } from "./divideAndConquer.ts";
import { findingByQl } from "./implicitQl.ts";
import { transformingBack, type Tridiagonal, tridiagonalising } from "./tridiagonalise.ts";

/** Eigenvalues in ascending order and their vectors, of unit length and orthogonal: row i of [n, n] belongs to value i. */
export type SymmetricEigen = { readonly values: Float64Array; readonly vectors: Float64Array };

/**
 * Eigenvalues and vectors of a symmetric matrix [size, size], of which the lower triangle is read. Both are exact to a few units of
 * rounding of the largest eigenvalue.
 * @throws EvenkeelError `shape` for another number of elements, `value` for elements that aren't finite.
 */
export function symmetricEigen(matrix: Float64Array, size: number): SymmetricEigen {
  return atOnce(decomposing(matrix, size));
}

/** The same with pauses. */
export function* decomposing(matrix: Float64Array, size: number): Generator<void, SymmetricEigen> {
  const { scaled, exponent } = prepare(matrix, size);
  const reduced = yield* tridiagonalising(scaled, size);
  const values = reduced.diagonal.slice();
  const vectors = yield* dividingAndConquering(values, reduced.offDiagonal.slice());
  yield* transformingBack(reduced, vectors);
  return { values: values.map((value) => value * exponent), vectors };
}

/** Eigenvalues of a symmetric matrix in ascending order; see `symmetricEigen`, than which this is three times faster. */
export function symmetricEigenvalues(matrix: Float64Array, size: number): Float64Array {
  return atOnce(findingEigenvalues(matrix, size));
}

/** The same with pauses. */
export function* findingEigenvalues(matrix: Float64Array, size: number): Generator<void, Float64Array> {
  const { scaled, exponent } = prepare(matrix, size);
  const { diagonal, offDiagonal }: Tridiagonal = yield* tridiagonalising(scaled, size);
  yield* findingByQl(diagonal, offDiagonal);
  return diagonal.map((value) => value * exponent).sort();
}

/** A copy, scaled by a power of two to a largest element of about 1: squares of negligible elements may then become 0. */
function prepare(matrix: Float64Array, size: number): { readonly scaled: Float64Array; readonly exponent: number } {
  if (!Number.isInteger(size) || size < 0 || matrix.length !== size * size) {
    throw new EvenkeelError("shape", `eigenvalues: ${matrix.length} elements are not a matrix [${size}, ${size}].`);
  }
  let largest = 0;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      const element = Math.abs(matrix[i * size + j] ?? 0);
      if (!Number.isFinite(element)) {
        throw new EvenkeelError("value", `eigenvalues: element [${i}, ${j}] is ${matrix[i * size + j]}.`);
      }
      largest = Math.max(largest, element);
    }
  }
  const exponent = largest === 0 ? 1 : 2 ** Math.floor(Math.log2(largest));
  return { scaled: matrix.map((element) => element / exponent), exponent };
}
