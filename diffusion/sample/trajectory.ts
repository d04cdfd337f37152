/** The way of images from noise to data, as pixels: film strips. */
import type { Shape } from "../../engine/index.ts";
import { type GeneratorOptions, ImageGenerator, type ImageLabel, type ImageRequest } from "./generate.ts";
import { toPixels } from "./imageGrid.ts";

/** What to record, with which network and solver. Images are sampled all at once. */
export type TrajectoryOptions = GeneratorOptions & TrajectoryRequest;

/** Which images, and how their states become pixels. `onStep` is told of each step, as numbers. */
export type TrajectoryRequest = Omit<ImageRequest, "batch"> & FrameOptions;

/** How states become pixels. */
type FrameOptions = {
  /** Standard deviation of the data: the network's. Default 0.5. */
  readonly sigmaData?: number;
};

/** The way of N images in pixels 0 to 255; a frame a step. */
export type Trajectory = {
  /** The noise level at which the network was asked in each step, after churn: falling if there is none. */
  readonly sigmas: readonly number[];
  /** Of one frame: [N, C, H, W]. */
  readonly shape: Shape;
  /**
   * What the network was asked about, [steps, N, C, H, W], at the contrast of the data: x sigmaData / sqrt(sigma^2 + sigmaData^2), so that
   * noise is as bright as images are and the last frames are nearly the images.
   */
  readonly noisy: Uint8Array;
  /** What it answered, guided if there are guides, [steps, N, C, H, W]: the images as they look from this noise level. */
  readonly denoised: Uint8Array;
  /** What came out, [N, C, H, W]. */
  readonly images: Uint8Array;
  /** What was chosen or drawn for each image. */
  readonly labels: readonly ImageLabel[];
  readonly seeds: readonly number[];
};

/**
 * Samples images and records each step. The same seeds, labels and steps begin with the same noise, and are churned with the same, whatever
 * the network: strips of two networks can be compared frame by frame.
 * @throws EvenkeelError as `generateImages`; `aborted` within an evaluation of the network.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { FormulaDenoiser } from "evenkeel/diffusion/network";
 *
 * // Of images that are all black.
 * const denoiser = new FormulaDenoiser((x) => x.multiply(0).subtract(1), await getDevice("wasm"));
 * const { shape, denoised, images } = await sampleTrajectory({ denoiser, imageShape: [1, 1, 1], seeds: [0], steps: 3 });
 * console.log(shape, denoised, images); // [ 1, 1, 1, 1 ] Uint8Array(3) [ 0, 0, 0 ] Uint8Array(1) [ 0 ]
 * denoiser.dispose();
 * ```
 */
export async function sampleTrajectory(options: TrajectoryOptions): Promise<Trajectory> {
  const generator = new ImageGenerator(options);
  try {
    return await recordTrajectory(generator, options);
  } finally {
    generator.dispose();
  }
}

/**
 * The same with programs that are compiled already.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { FormulaDenoiser } from "evenkeel/diffusion/network";
 *
 * const denoiser = new FormulaDenoiser((x) => x.multiply(0), await getDevice("wasm"));
 * const generator = new ImageGenerator({ denoiser, imageShape: [1, 1, 1], steps: 3 });
 * const first = await recordTrajectory(generator, { seeds: [0] });
 * const second = await recordTrajectory(generator, { seeds: [1] });
 * console.log(first.noisy, second.noisy); // Uint8Array(3) [ 118, 118, 127 ] Uint8Array(3) [ 144, 144, 128 ]
 * generator.dispose();
 * ```
 */
export async function recordTrajectory(generator: ImageGenerator, request: TrajectoryRequest): Promise<Trajectory> {
  const { sigmaData = 0.5, seeds } = request;
  const size = seeds.length * generator.imageShape.reduce((product, length) => product * length, 1);
  const sigmas: number[] = [];
  const states: Uint8Array[] = [];
  const answers: Uint8Array[] = [];
  const batches = generator.generate({
    ...request,
    batch: Math.max(1, seeds.length),
    onStep: async (step, batch) => {
      const { tHat, xHat, denoised } = step;
      const contrast = sigmaData / Math.hypot(tHat, sigmaData);
      sigmas.push(tHat);
      // Behind the images there may be padding.
      states.push(toPixels(xHat.subarray(0, size).map((x) => contrast * x)));
      answers.push(toPixels(denoised.subarray(0, size)));
      await request.onStep?.(step, batch);
    },
  });
  let images: Uint8Array = new Uint8Array(0);
  let labels: readonly ImageLabel[] = [];
  // One, unless there are no seeds.
  for await (const batch of batches) [images, labels] = [toPixels(batch.images), batch.chosen];
  const shape = [seeds.length, ...generator.imageShape];
  return { sigmas, shape, noisy: joined(states, size), denoised: joined(answers, size), images, labels, seeds };
}

/** Frames one behind the other. */
function joined(frames: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(frames.length * size);
  for (const [i, frame] of frames.entries()) all.set(frame, i * size);
  return all;
}
