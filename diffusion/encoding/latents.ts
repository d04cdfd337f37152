import { EvenkeelError, type Shape } from "../../engine/index.ts";

/** For each channel of a latent image: latent * scale + bias has mean 0 and the standard deviation of the network's data. */
export type LatentWhitening = { readonly scale: ArrayLike<number>; readonly bias: ArrayLike<number> };

/** The VAE that the reference encodes with, as Hugging Face names it. */
export const vaeName = "stabilityai/sd-vae-ft-mse";

/** Channels of its latents. */
export const vaeChannels = 4;

/** Means and standard deviations of the four channels that the VAE "sd-vae-ft-mse" gives for ImageNet. Section B.1. */
const vaeMean = [5.81, 3.25, 0.12, -2.15];
const vaeDeviation = [4.17, 4.62, 3.71, 3.28];

/**
 * What makes latents of the VAE "sd-vae-ft-mse" data of standard deviation `sigmaData`.
 * @example console.log(vaeWhitening().scale.length); // 4
 */
export function vaeWhitening(sigmaData = 0.5): LatentWhitening {
  const scale = vaeDeviation.map((deviation) => sigmaData / deviation);
  return { scale, bias: scale.map((factor, channel) => -factor * (vaeMean[channel] ?? 0)) };
}

/**
 * A draw of latents from what an encoder gives, whitened: (mean + deviation * noise) * scale + bias in float32.
 * @param meanAndDeviation [N, 2 C, H, W]: C channels of means, then as many of standard deviations.
 * @param noise standard normals [N, C, H, W].
 * @param shape of the noise and the result.
 * @throws EvenkeelError `shape` if the arrays don't fit each other.
 * @example
 * ```ts
 * // A picture of one pixel and one channel: mean 2 and deviation 0.5, drawn one deviation above the mean, whitened by (x - 2) / 4.
 * const drawn = drawLatents(Float32Array.of(2, 0.5), Float32Array.of(1), [1, 1, 1, 1], { scale: [0.25], bias: [-0.5] });
 * console.log(drawn); // Float32Array(1) [ 0.125 ]
 * ```
 */
export function drawLatents(
  meanAndDeviation: Float32Array,
  noise: Float32Array,
  shape: Shape,
  { scale, bias }: LatentWhitening,
): Float32Array {
  const [count = 0, channels = 0, height = 0, width = 0] = shape;
  const pixels = height * width;
  const size = count * channels * pixels;
  const fits = shape.length === 4 && noise.length === size && meanAndDeviation.length === 2 * size;
  if (!fits || scale.length !== channels || bias.length !== channels) {
    throw new EvenkeelError(
      "shape",
      `drawLatents: ${meanAndDeviation.length} means and deviations, ${noise.length} normals and ${scale.length} channels of ` +
        `whitening don't fit latents [${shape.join(", ")}].`,
    );
  }
  const { fround } = Math;
  return noise.map((normal, i) => {
    const channel = Math.floor(i / pixels) % channels;
    // Each image has its means before its deviations.
    const mean = i + Math.floor(i / (channels * pixels)) * channels * pixels;
    const spread = fround((meanAndDeviation[mean + channels * pixels] ?? 0) * normal);
    const latent = fround((meanAndDeviation[mean] ?? 0) + spread);
    return fround(latent * fround(scale[channel] ?? 0)) + fround(bias[channel] ?? 0);
  });
}

/**
 * Latents as the VAE's decoder takes them, from whitened ones: (x - bias) / scale in float32.
 * @param shape [N, C, H, W].
 * @throws EvenkeelError `shape` if the arrays don't fit each other.
 * @example console.log(unwhitenLatents(Float32Array.of(0.125), [1, 1, 1, 1], { scale: [0.25], bias: [-0.5] })); // Float32Array(1) [ 2.5 ]
 */
export function unwhitenLatents(latents: Float32Array, shape: Shape, { scale, bias }: LatentWhitening): Float32Array {
  const [count = 0, channels = 0, height = 0, width = 0] = shape;
  const pixels = height * width;
  if (shape.length !== 4 || latents.length !== count * channels * pixels || scale.length !== channels) {
    throw new EvenkeelError(
      "shape",
      `unwhitenLatents: ${latents.length} numbers and ${scale.length} channels of whitening don't fit latents [${shape.join(", ")}].`,
    );
  }
  const { fround } = Math;
  return latents.map((x, i) => {
    const channel = Math.floor(i / pixels) % channels;
    return fround(x - fround(bias[channel] ?? 0)) / fround(scale[channel] ?? 0);
  });
}
