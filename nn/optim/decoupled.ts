import {
  divide,
  equal,
  exp,
  multiply,
  reduceSum,
  rootMeanSquare,
  subtract,
  type Tensor,
  where,
} from "../../engine/index.ts";

/**
 * A matrix as magnitudes and directions (magnitude-direction decoupling, arXiv 2606.25971): W = g V, where each row of V has a root mean
 * square of 1.
 */
export type Decoupled = {
  /** V [rows, ...]. */
  readonly direction: Tensor;
  /** g [rows, 1, ...]. A row of zeros has none, and no direction: until something moved it, it is moved as without. */
  readonly magnitude: Tensor;
};

const orOne = (magnitude: Tensor): Tensor => where(equal(magnitude, 0), 1, magnitude);

/** Sums within rows, kept as [rows, 1, ...]. */
const rowAxes = (x: Tensor): { axes: number[]; keepAxes: true } => ({
  axes: x.shape.map((_, axis) => axis).slice(1),
  keepAxes: true,
});

/**
 * Magnitudes and directions of the rows of a matrix.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const { direction, magnitude } = decouple(tensor([[2, -2], [0, 0]]));
 * console.log(await direction.array(), await magnitude.array()); // [ [ 1, -1 ], [ 0, 0 ] ] [ [ 2 ], [ 0 ] ]
 * ```
 */
export function decouple(matrix: Tensor): Decoupled {
  const magnitude = rootMeanSquare(matrix, rowAxes(matrix));
  return { direction: divide(matrix, orOne(magnitude)), magnitude };
}

/**
 * The gradient of what `decouple` gives: with respect to the direction, along the sphere alone, and to ln(g) [rows, 1, ...].
 * @param gradient with respect to the matrix.
 */
export function decoupledGradient(
  { direction, magnitude }: Decoupled,
  gradient: Tensor,
): { readonly direction: Tensor; readonly logMagnitude: Tensor } {
  const along = reduceSum(multiply(gradient, direction), rowAxes(gradient));
  const columns = direction.size / (direction.shape[0] ?? 1);
  return {
    direction: multiply(orOne(magnitude), subtract(gradient, multiply(direction, divide(along, columns)))),
    logMagnitude: multiply(magnitude, along),
  };
}

/** The matrix g V again, from a direction that left the sphere and a change of ln(g). */
export function recouple(direction: Tensor, magnitude: Tensor, logChange: Tensor): Tensor {
  const unit = decouple(direction).direction;
  return where(equal(magnitude, 0), direction, multiply(unit, multiply(magnitude, exp(logChange))));
}
