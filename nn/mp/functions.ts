import { add, concat, divide, EvenkeelError, multiply, silu, type Tensor } from "../../engine/index.ts";

/** The magnitude of silu of a standard normal, rounded as the published weights were trained with it. */
const siluMagnitude = 0.596;

/**
 * silu(x) / 0.596: unit magnitude for standard normal x. Karras et al. 2024, Eq. 81.
 * @param kept what is done to silu(x); default: nothing.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await mpSilu(tensor([0, 1])).array()); // [ 0, 1.2266 ]
 * ```
 */
export function mpSilu(x: Tensor, kept = (y: Tensor): Tensor => y): Tensor {
  return divide(kept(silu(x)), siluMagnitude);
}

function requireBalance(operation: string, t: number): void {
  if (!(t >= 0 && t <= 1)) throw new EvenkeelError("range", `${operation}: t ${t} is not a number from 0 to 1.`);
}

/**
 * Blend of the main path a and the branch b of weight t, scaled so that independent inputs of unit magnitude give unit
 * magnitude: ((1 - t) a + t b) / sqrt((1 - t)^2 + t^2). Karras et al. 2024, Eq. 88.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await mpSum(tensor([1, 0]), tensor([0, 1]), 0.3).array()); // [ 0.91915, 0.39392 ]
 * ```
 */
export function mpSum(a: Tensor, b: Tensor, t: number): Tensor {
  requireBalance("mpSum", t);
  const length = Math.hypot(1 - t, t);
  return add(multiply(a, (1 - t) / length), multiply(b, t / length));
}

/**
 * Joins a [N, Na, ...] and b [N, Nb, ...] along axis 1 so that b's share of the magnitude is set by t and not by its number of
 * channels, and the whole keeps unit magnitude. Karras et al. 2024, Eq. 103.
 * @example
 * ```ts
 * import { zeros } from "evenkeel/engine";
 *
 * console.log(mpCat(zeros([1, 2, 4, 4]), zeros([1, 3, 4, 4])).shape); // [ 1, 5, 4, 4 ]
 * ```
 */
export function mpCat(a: Tensor, b: Tensor, t = 0.5): Tensor {
  requireBalance("mpCat", t);
  const [countA, countB] = [a.shape[1] ?? 0, b.shape[1] ?? 0];
  const scale = Math.sqrt((countA + countB) / ((1 - t) ** 2 + t ** 2));
  return concat([multiply(a, (scale * (1 - t)) / Math.sqrt(countA)), multiply(b, (scale * t) / Math.sqrt(countB))], 1);
}
