import { add, divide, matmul, multiply, norm, reshape, type Tensor, transpose } from "../../engine/index.ts";

/** The quintic a s + b s^3 + c s^5 that is applied to all singular values at once (Jordan 2024). */
const [a, b, c] = [3.4445, -4.775, 2.0315];

/** Singular values of what `orthogonalize` gives, for matrices whose condition number is below about 100. */
export const orthogonalBand = { least: 0.65, most: 1.21 } as const;

/**
 * The matrix with the singular vectors of `x` and singular values near 1, by five steps of a Newton-Schulz iteration (Jordan 2024, Muon). The
 * iteration doesn't converge: it brings singular values into `orthogonalBand`, quickly. Scale changes nothing, and rotations of rows and
 * columns go through.
 * @param x [rows, ...], seen as a matrix of as many rows; zeros stay zeros.
 * @returns of x's shape.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await orthogonalize(tensor([[3, 0], [0, -2]])).array()); // [ [ 1.117, 0 ], [ 0, -0.682 ] ]
 * ```
 */
export function orthogonalize(x: Tensor): Tensor {
  const rows = x.shape[0] ?? 1;
  const matrix = reshape(x, [rows, -1]);
  const isTall = rows > (matrix.shape[1] ?? 1);
  const scaled = divide(matrix, add(norm(matrix), 1e-7));
  let wide = isTall ? transpose(scaled) : scaled;
  for (let step = 0; step < 5; step++) {
    const square = matmul(wide, transpose(wide));
    const polynomial = add(multiply(square, b), multiply(matmul(square, square), c));
    wide = add(multiply(wide, a), matmul(polynomial, wide));
  }
  return reshape(isTall ? transpose(wide) : wide, x.shape);
}
