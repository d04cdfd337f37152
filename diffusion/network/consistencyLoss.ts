/**
 * Consistency tuning (ECT; Geng et al., "Consistency Models Made Easy", arXiv 2406.14548): a trained denoiser learns to give at every
 * noise level of a path the image that the path leads to, by agreeing with itself at a lower level of the same path.
 */
import {
  add,
  divide,
  equal,
  exp,
  floorDivide,
  cast,
  relu,
  multiply,
  reduceSum,
  reshape,
  sqrt,
  square,
  stopGradient,
  subtract,
  type Tensor,
  where,
} from "../../engine/index.ts";

/** How the lower noise level is chosen; plain data, fixed for a run. */
export type ConsistencyTuning = {
  /** Images of a stage. In each stage the two levels are nearer to each other by the factor. */
  readonly stage: number;
  /** q: 2 for images of 32x32 in the paper, 4 for 64x64. */
  readonly factor: number;
};

/** n(t) = 1 + k / (1 + e^(b t)): at low noise the levels are further apart, from k / 2 + 1 times at 0. */
const [k, b] = [8, 1] as const;

/** c of the distance for images of 3x32x32. */
const cOfCifar = 0.06;

/**
 * The level r below each noise level t [N]: r = t max(0, 1 - n(t) / q^a), where a = 1 + floor(position / stage) grows over the run. In the
 * first stages r is mostly 0, which is denoising; then it comes closer to t.
 * @param positions each image's number in the run: u32 [N].
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const positions = tensor(Uint32Array.of(0, 1000, 9000));
 * console.log(await lowerLevels(tensor([80, 80, 80]), positions, { stage: 1000, factor: 2 }).array()); // [ 40, 60, 79.9219 ]
 * ```
 */
export function lowerLevels(sigma: Tensor, positions: Tensor, { stage, factor }: ConsistencyTuning): Tensor {
  const a = add(cast(floorDivide(positions, stage), "f32"), 1);
  const shrink = exp(multiply(a, -Math.log(factor)));
  const n = add(divide(k, add(exp(multiply(sigma, b)), 1)), 1);
  return multiply(sigma, relu(subtract(1, multiply(n, shrink))));
}

/** A batch with a second noise level for each image. */
export type ConsistencyBatch = {
  readonly images: Tensor;
  /** Noise levels t [N], and those below them, r [N]. */
  readonly sigma: Tensor;
  readonly lower: Tensor;
  /** Standard normals of the images' shape. */
  readonly noise: Tensor;
};

/**
 * w(t) d(f(x_t, t), stop-gradient f(x_r, r)) for each image [N, 1, 1, 1], with the same image and noise in x_t and x_r, f(x, 0) = x, the
 * pseudo-Huber distance d = sqrt(|difference|^2 + c^2) - c over all of an image's numbers, and w(t) = 1 / t + 1 / sigmaData. c is 0.06
 * for 3x32x32 numbers and goes with the root of their count, as |difference| does.
 * @param answer f: the network for noisy images [N, C, H, W] of levels [N]; the second call is the target's, of which no derivative is
 * taken.
 * @returns the loss, and f(x_t, t).
 * @example
 * ```ts
 * import { ones, tensor, zeros } from "evenkeel/engine";
 *
 * // All data are 0: the best denoiser answers 0, and has nothing left to learn.
 * const batch = { images: zeros([1, 3, 2, 2]), sigma: tensor([2]), lower: tensor([1]), noise: ones([1, 3, 2, 2]) };
 * const { loss } = consistencyLoss((x) => x.multiply(0), batch, 0.5);
 * console.log(await loss.item()); // 0
 * ```
 */
export function consistencyLoss(
  answer: (x: Tensor, sigma: Tensor, isTarget: boolean) => Tensor,
  { images, sigma, lower, noise }: ConsistencyBatch,
  sigmaData: number,
): { readonly loss: Tensor; readonly denoised: Tensor } {
  const perImage = (level: Tensor): Tensor => reshape(level, [...level.shape, 1, 1, 1]);
  const noisy = (level: Tensor): Tensor => add(images, multiply(perImage(level), noise));
  const denoised = answer(noisy(sigma), sigma, false);
  // The network knows no level 0; what it is asked there instead isn't looked at.
  const isClean = equal(lower, 0);
  const asked = answer(noisy(lower), where(isClean, 1, lower), true);
  const target = stopGradient(where(perImage(isClean), images, asked));
  const size = images.shape.slice(1).reduce((product, length) => product * length, 1);
  const c = cOfCifar * Math.sqrt(size / (3 * 32 * 32));
  const squares = reduceSum(square(subtract(denoised, target)), { axes: [1, 2, 3], keepAxes: true });
  // sqrt(s + c^2) - c without the digits that the difference would lose.
  const distance = divide(squares, add(sqrt(add(squares, c ** 2)), c));
  const weight = add(divide(1, perImage(sigma)), 1 / sigmaData);
  return { loss: multiply(weight, distance), denoised };
}
