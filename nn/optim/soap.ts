import {
  add,
  divide,
  expandDims,
  eye,
  matmul,
  multiply,
  norm,
  permute,
  reduceSum,
  reshape,
  scan,
  slice,
  sqrt,
  square,
  stack,
  subtract,
  type Tensor,
  transpose,
  zeros,
} from "../../engine/index.ts";
import type { AdamCorrections, AdamOptions } from "./adam.ts";

/**
 * Sides of a matrix, its rows or its columns, that are longer than this keep their own basis, as the paper has it for large layers: a basis is
 * as many numbers as the square of a side, and making it the cube.
 */
export const longestSoapSide = 256;

/** What SOAP remembers of a matrix. A side without a basis of its own has none of its arrays. */
export type SoapMatrixState = {
  /** Mean gradient, in the matrix's own basis. */
  readonly first: Tensor;
  /** Mean squared gradient, in the bases. */
  readonly second: Tensor;
  /** Mean of G G^T [rows, rows], and its eigenvectors as rows. */
  readonly left?: { readonly covariance: Tensor; readonly basis: Tensor };
  /** The same of G^T G [columns, columns]. */
  readonly right?: { readonly covariance: Tensor; readonly basis: Tensor };
};

const matrixOf = (x: Tensor): Tensor => reshape(x, [x.shape[0] ?? 1, -1]);

/** What SOAP remembers of a matrix [rows, ...] before the first step: no bases but its own. */
export function soapStart(matrix: Tensor): SoapMatrixState {
  const side = (size: number): { covariance: Tensor; basis: Tensor } => ({
    covariance: zeros([size, size]),
    basis: eye(size),
  });
  const rows = matrix.shape[0] ?? 1;
  const columns = matrix.size / rows;
  return {
    first: zeros([rows, columns]),
    second: zeros([rows, columns]),
    ...(rows > longestSoapSide ? {} : { left: side(rows) }),
    ...(columns > longestSoapSide ? {} : { right: side(columns) }),
  };
}

/** Into the bases, or out of them again. */
function turned(x: Tensor, { left, right }: SoapMatrixState, isBack: boolean): Tensor {
  const rows = left === undefined ? x : matmul(isBack ? transpose(left.basis) : left.basis, x);
  if (right === undefined) return rows;
  return matmul(rows, isBack ? right.basis : transpose(right.basis));
}

/**
 * What SOAP (Vyas et al. 2024, arXiv 2409.11321) takes from a matrix in a step of rate 1: Adam in the eigenbases of the mean of G G^T and of
 * G^T G. `soapBases` makes these anew from time to time. With no bases but the matrix's own it is Adam.
 * @param gradient [rows, ...], seen as a matrix of as many rows.
 */
export function soapMove(
  gradient: Tensor,
  before: SoapMatrixState,
  corrections: AdamCorrections,
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamOptions = {},
): { readonly update: Tensor; readonly state: SoapMatrixState } {
  const g = matrixOf(gradient);
  const blend = (old: Tensor, now: Tensor, beta: number): Tensor => add(multiply(old, beta), multiply(now, 1 - beta));
  const first = blend(before.first, g, beta1);
  const second = blend(before.second, square(turned(g, before, false)), beta2);
  const mean = divide(turned(first, before, false), corrections.first);
  const step = divide(mean, add(divide(sqrt(second), sqrt(corrections.second)), epsilon));
  const { left, right } = before;
  const side = (own: { covariance: Tensor; basis: Tensor }, now: Tensor): { covariance: Tensor; basis: Tensor } => ({
    covariance: blend(own.covariance, now, beta2),
    basis: own.basis,
  });
  return {
    update: reshape(turned(step, before, true), gradient.shape),
    state: {
      first,
      second,
      ...(left === undefined ? {} : { left: side(left, matmul(g, transpose(g))) }),
      ...(right === undefined ? {} : { right: side(right, matmul(transpose(g), g)) }),
    },
  };
}

/** Share of the mean eigenvalue that is added to all: it moves no eigenvector, and rows that say nothing stay what they were. */
const ridge = 1e-5;

/**
 * Bases a power step nearer to the eigenvectors of their covariances, orthonormal again. Sides of one size are done together, in a loop over
 * rows.
 * @param sides symmetric [n, n] each, with the rows of an orthonormal basis.
 */
export function soapBases(sides: readonly { readonly covariance: Tensor; readonly basis: Tensor }[]): Tensor[] {
  const bySize = new Map<number, number[]>();
  for (const [i, { basis }] of sides.entries()) {
    const size = basis.shape[0] ?? 1;
    bySize.set(size, [...(bySize.get(size) ?? []), i]);
  }
  const result = sides.map(({ basis }) => basis);
  for (const [size, places] of bySize) {
    const chosen = places.flatMap((place) => sides[place] ?? []);
    const basis = stack(chosen.map((side) => side.basis));
    const covariance = stack(chosen.map((side) => side.covariance));
    const trace = reduceSum(multiply(covariance, eye(size)), { axes: [1, 2], keepAxes: true });
    const moved = add(matmul(basis, covariance), multiply(basis, add(multiply(trace, ridge / size), 1e-30)));
    const made = orthonormalRows(moved);
    for (const [k, place] of places.entries()) result[place] = reshape(slice(made, [[k, k + 1]]), [size, size]);
  }
  return result;
}

/** Rows of each matrix [K, n, n] made orthonormal one after the other (Gram and Schmidt, twice, which float32 needs). */
export function orthonormalRows(x: Tensor): Tensor {
  const [count = 1, size = 1] = x.shape;
  const { carry } = scan(
    (done: Tensor, { row, place }: { row: Tensor; place: Tensor }) => {
      const unit = (y: Tensor): Tensor => divide(y, norm(y, { axes: 2, keepAxes: true }));
      let left = unit(expandDims(row, 1));
      for (let round = 0; round < 2; round++) {
        left = unit(subtract(left, matmul(matmul(left, transpose(done)), done)));
      }
      return { carry: add(done, multiply(reshape(place, [1, size, 1]), left)), y: {} };
    },
    zeros([count, size, size]),
    { row: permute(x, [1, 0, 2]), place: eye(size) },
  );
  return carry;
}
