/** Angles between weights, and spectra of their gradients. */
import {
  asin,
  cos,
  divide,
  iota,
  matmul,
  maximum,
  minimum,
  multiply,
  norm,
  reduceSum,
  reshape,
  subtract,
  type Tensor,
  transpose,
} from "../../engine/index.ts";

/** In place of a length of zero. */
export const tiny = 1e-12;

const unit = (x: Tensor): Tensor => divide(x, maximum(norm(x), tiny));

/** The angle between two arrays, seen as vectors: a scalar from 0 to pi, in radians. Small ones keep their digits. */
export function angleBetween(a: Tensor, b: Tensor): Tensor {
  return multiply(2, asin(minimum(multiply(0.5, norm(subtract(unit(a), unit(b)))), 1)));
}

/** The cosine of the angle between two arrays, seen as vectors: a scalar; 0 if one of them is zero. */
export function cosine(a: Tensor, b: Tensor): Tensor {
  return reduceSum(multiply(unit(a), unit(b)));
}

/** Steps of the power iteration: enough for two digits where the first two singular values are a tenth apart. */
const powerSteps = 12;

/**
 * The largest singular value of x, seen as a matrix of x.shape[0] rows: a scalar, and a lower bound, by power steps from a vector of its own
 * that favours no output.
 */
export function spectralNorm(x: Tensor): Tensor {
  const rows = x.shape[0] ?? 1;
  const matrix = reshape(x, [rows, -1]);
  // Neither constant nor a unit vector, which a matrix may well be at right angles to.
  let left = reshape(cos(multiply(iota([rows], 0, "f32"), 2.399963)), [1, rows]);
  for (let step = 0; step < powerSteps; step++) left = unit(matmul(unit(matmul(left, matrix)), transpose(matrix)));
  return norm(matmul(left, matrix));
}
