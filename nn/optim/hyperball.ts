import { divide, equal, multiply, norm, subtract, type Tensor, type TensorLike, where } from "../../engine/index.ts";

/** What has a fixed norm: a whole matrix, or each of its rows (what one output reads). */
export const hyperballGranularities = ["matrix", "row"] as const;

/** What has a fixed norm: a whole matrix, or each of its rows. */
export type HyperballGranularity = (typeof hyperballGranularities)[number];

/**
 * The norms that `onHyperball` keeps: of the matrix [1, 1, ...], or of each row [rows, 1, ...].
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await hyperballRadius(tensor([[3, 4], [0, 2]]), "row").array()); // [ [ 5 ], [ 2 ] ]
 * ```
 */
export function hyperballRadius(matrix: Tensor, granularity: HyperballGranularity): Tensor {
  const axes = matrix.shape.map((_, axis) => axis);
  return norm(matrix, { axes: granularity === "row" ? axes.slice(1) : axes, keepAxes: true });
}

/**
 * A matrix after a step of any optimizer, with the norm of the matrix and of the step fixed (Hyperball, arXiv 2606.16899): the step u becomes
 * R u / ||u||, and the result R (W - rate u) / ||W - rate u||. A step at right angles to W turns it by arctan(rate). What began at zero has no
 * sphere and moves as the optimizer has it.
 * @param before W [rows, ...].
 * @param proposed where the optimizer would move it, of W's shape.
 * @param radius R, what `hyperballRadius` gave for the weights before the first step.
 * @param rate learning rate, a scalar tensor.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const before = tensor([[2, 0]]);
 * const radius = hyperballRadius(before, "matrix");
 * console.log(await onHyperball(before, tensor([[2, -9]]), radius, 1).array()); // [ [ 1.4142, -1.4142 ] ]
 * ```
 */
export function onHyperball(before: Tensor, proposed: Tensor, radius: Tensor, rate: TensorLike): Tensor {
  const granularity = (radius.shape[0] ?? 1) === 1 ? "matrix" : "row";
  const unit = (x: Tensor): Tensor => {
    const length = hyperballRadius(x, granularity);
    return divide(x, where(equal(length, 0), 1, length));
  };
  const step = multiply(unit(subtract(before, proposed)), multiply(radius, rate));
  return where(equal(radius, 0), proposed, multiply(unit(subtract(before, step)), radius));
}
