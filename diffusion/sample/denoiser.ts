import { EvenkeelError, type Shape } from "../../engine/index.ts";

/** Elements in the host's memory: of a network float32, of a formula possibly float64. */
export type HostArray = Float32Array | Float64Array;

/**
 * A network on the host: the denoised images of a batch.
 * @param x noisy images, row-major, of `shape` [N, ...]; usually [N, C, H, W].
 * @param sigma the noise level of each image, N numbers.
 * @param labels class labels [N, labelDim], one-hot or all zero; null for a batch without labels.
 * @returns as many elements as `x` has, in memory that the denoiser doesn't write again.
 */
export type Denoiser = (
  x: Float32Array,
  sigma: readonly number[],
  labels: Float32Array | null,
  shape: Shape,
) => Promise<HostArray>;

/**
 * A denoiser that may also look at the noise level from which the solver's present step starts, as guidance by interval does.
 * Every `Denoiser` is one.
 */
export type GuidedDenoiser = (
  x: Float32Array,
  sigma: readonly number[],
  labels: Float32Array | null,
  shape: Shape,
  stepSigma: number,
) => Promise<HostArray>;

/**
 * What a sampler calls: the denoised state.
 * @param x the sampler's state; not to be written.
 * @param sigma its noise level.
 * @param stepSigma the noise level from which the present step starts, before churn.
 */
export type StateDenoiser = (x: Float64Array, sigma: number, stepSigma: number) => Promise<HostArray>;

/** A network as a sampler calls it: the state of a batch of `shape`, rounded to float32, with fixed labels. */
export function stateDenoiser(denoise: GuidedDenoiser, labels: Float32Array | null, shape: Shape): StateDenoiser {
  const [count] = shape;
  if (count === undefined || count < 1) {
    throw new EvenkeelError("shape", `stateDenoiser: shape [${shape.join(", ")}] has no images; expected [N, ...].`);
  }
  return (x, sigma, stepSigma) =>
    denoise(new Float32Array(x), new Array<number>(count).fill(sigma), labels, shape, stepSigma);
}

/**
 * The same denoiser, which is always asked for exactly `size` images at a time; the rest of a batch is filled up with copies of
 * its last image. A compiled program may add numbers in another order for another batch size: evaluated like this, an image has
 * the same bits in every batch.
 * @throws EvenkeelError `value` if size is not a whole number of at least 1.
 */
export function inBatchesOf(size: number, denoise: Denoiser): Denoiser {
  if (!Number.isInteger(size) || size < 1) {
    throw new EvenkeelError("value", `inBatchesOf: size is ${size}, expected a whole number of at least 1.`);
  }
  return async (x, sigma, labels, [count = 0, ...imageShape]) => {
    const denoised = new Float64Array(x.length);
    const [elements, labelDim] = [x.length / count, (labels?.length ?? 0) / count];
    for (let begin = 0; begin < count; begin += size) {
      const rows = Array.from({ length: size }, (_, i) => Math.min(begin + i, count - 1));
      const answer = await denoise(
        takeRows(x, elements, rows),
        rows.map((row) => sigma[row] ?? 0),
        labels === null ? null : takeRows(labels, labelDim, rows),
        [size, ...imageShape],
      );
      if (answer.length !== size * elements) {
        throw new EvenkeelError(
          "shape",
          `inBatchesOf: the denoiser answered ${answer.length} elements for ${size} images of ${elements}.`,
        );
      }
      denoised.set(answer.subarray(0, x.length - begin * elements), begin * elements);
    }
    return denoised;
  };
}

/** The given rows of x, each of `length` elements. */
function takeRows(x: Float32Array, length: number, rows: readonly number[]): Float32Array {
  const taken = new Float32Array(rows.length * length);
  for (const [i, row] of rows.entries()) taken.set(x.subarray(row * length, (row + 1) * length), i * length);
  return taken;
}
