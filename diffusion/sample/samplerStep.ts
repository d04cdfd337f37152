/** What a sampler does with images in one step, as functions in the graph: for those who call the network themselves. */
import {
  add,
  broadcastTo,
  divide,
  equal,
  multiply,
  subtract,
  type Tensor,
  type TensorLike,
  where,
} from "../../engine/index.ts";
import type { Solver } from "./samplers.ts";

/** Euler's rule: p hat + q D. From noise level t to tNext p is tNext / t and q is 1 - p. */
export const eulerMove = (hat: Tensor, denoised: Tensor, p: TensorLike, q: TensorLike): Tensor =>
  add(multiply(p, hat), multiply(q, denoised));

/** The images and the answer of one of Heun's two evaluations. */
type Evaluated = { readonly x: Tensor; readonly denoised: Tensor };

/** Heun's rule: hat + p (hat - D) + q (x - D'), x being where Euler's rule led. With half = (tNext - t) / 2 p is half / t, q half / tNext. */
export const heunMove = (first: Evaluated, second: Evaluated, p: TensorLike, q: TensorLike): Tensor =>
  add(first.x, add(multiply(p, subtract(first.x, first.denoised)), multiply(q, subtract(second.x, second.denoised))));

/**
 * An answer pushed away from that of a guide: answer + strength (main - guide), with the answer of the main network or one that was pushed
 * before. The strength is the weight of guidance less 1.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const main = tensor([1]);
 * console.log(await pushedAway(main, main, tensor([0.5]), 2).array()); // [ 2 ]
 * ```
 */
export const pushedAway = (answer: Tensor, main: Tensor, guide: Tensor, strength: TensorLike): Tensor =>
  add(answer, multiply(strength, subtract(main, guide)));

/**
 * Images [N, C, H, W] of noise level t after a step to tNext, which may be 0. Karras et al. 2022, Algorithm 1. `generateImages` takes the
 * same steps. Where Heun's rule has no second evaluation, at a tNext of 0, one is made and not looked at: a graph has no other way.
 * @param denoise D(x; sigma) of images and their noise levels [N]
 * @param t noise level of the images, a scalar; churn, if wanted, has been added before
 * @param tNext noise level after the step, a scalar
 * @example
 * ```ts
 * import { scalar, tensor } from "evenkeel/engine";
 *
 * // The best answer where all data are 0.5: a step to 0 leads there.
 * const x = tensor([8], { shape: [1, 1, 1, 1] });
 * const stepped = samplerStep((y) => y.multiply(0).add(0.5), x, scalar(2), scalar(0), "heun");
 * console.log(await stepped.item()); // 0.5
 * ```
 */
export function samplerStep(
  denoise: (x: Tensor, sigma: Tensor) => Tensor,
  x: Tensor,
  t: Tensor,
  tNext: Tensor,
  solver: Solver,
): Tensor {
  const level = (sigma: Tensor): Tensor => broadcastTo(sigma, [x.shape[0] ?? 0]);
  const first = { x, denoised: denoise(x, level(t)) };
  const ratio = divide(tNext, t);
  const euler = eulerMove(x, first.denoised, ratio, subtract(1, ratio));
  switch (solver) {
    case "euler":
      return euler;
    case "heun": {
      const isEnd = equal(tNext, 0);
      // Any level above 0 does for the evaluation that isn't looked at.
      const tSecond = where(isEnd, t, tNext);
      const second = { x: euler, denoised: denoise(euler, level(tSecond)) };
      const half = divide(subtract(tNext, t), 2);
      return where(isEnd, euler, heunMove(first, second, divide(half, t), divide(half, tSecond)));
    }
  }
}
