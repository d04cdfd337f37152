import { add, divide, exp, multiply, reshape, square, subtract, type Tensor } from "../../engine/index.ts";
import type { NetworkRun } from "../../nn/index.ts";
import type { NetworkConfig } from "./config.ts";
import { denoise, type DenoiserParameters, logvar } from "./denoiser.ts";
import { lossWeight, type PreconditionOptions } from "./precondition.ts";

/** Where noise levels come from: a log-normal distribution, or the losses (`infonoise`). */
export const noiseKinds = ["lognormal", "infonoise"] as const;

/** See `noiseKinds`. */
export type NoiseKind = (typeof noiseKinds)[number];

/** The distribution of noise levels in training: ln(sigma) is normal. Published as P_mean and P_std. */
export type NoiseDistribution = {
  readonly mean: number;
  readonly standardDeviation: number;
  /** Default `lognormal`. With `infonoise` training learns its own distribution; this one says at which levels it is validated. */
  readonly kind?: NoiseKind;
};

/**
 * Noise levels [N] of standard normals [N], log-normally distributed. Karras et al. 2022, Table 1.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await noiseLevels(tensor([0]), { mean: 0, standardDeviation: 1 }).array()); // [ 1 ]
 * ```
 */
export function noiseLevels(normals: Tensor, { mean, standardDeviation }: NoiseDistribution): Tensor {
  return exp(add(multiply(normals, standardDeviation), mean));
}

/**
 * lambda(sigma) times the squared error of `denoised`, for each element [N, C, H, W]: about 1 for an untrained network.
 * @example
 * ```ts
 * import { ones, tensor, zeros } from "evenkeel/engine";
 *
 * console.log(await weightedError(zeros([1, 1, 1, 2]), ones([1, 1, 1, 2]), tensor([0.5]), 0.5).reshape([2]).array()); // [ 8, 8 ]
 * ```
 */
export function weightedError(
  images: Tensor,
  denoised: Tensor,
  sigma: Tensor,
  sigmaData: number,
  options: PreconditionOptions = {},
): Tensor {
  const weight = reshape(lossWeight(sigma, sigmaData, options), [...sigma.shape, 1, 1, 1]);
  return multiply(weight, square(subtract(denoised, images)));
}

/**
 * error / e^u + u: the weighted error, divided by what the loss head u [N, 1, 1, 1] expects of it. Karras et al. 2024, Eq. 14.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await uncertaintyLoss(tensor([1]), tensor([0])).array()); // [ 1 ]
 * ```
 */
export function uncertaintyLoss(error: Tensor, u: Tensor): Tensor {
  return add(divide(error, exp(u)), u);
}

/**
 * The loss for each element, and the weighted error in it, both [N, C, H, W]: EDM2's, or that of EDM, the weighted error alone, if
 * the network has no loss head.
 * @param images clean images [N, C, H, W].
 * @param sigma noise levels [N].
 * @param noise standard normals [N, C, H, W], or the Student-t noise that the network is for (`studentNoise`).
 * @example
 * ```ts
 * import { ones, randomKey, tensor, zeros } from "evenkeel/engine";
 * import { configG, initializeParameters } from "evenkeel/nn";
 *
 * const data = { imageResolution: 4, imageChannels: 1, labelDim: 0 };
 * const network = networkConfig({ unet: configG({ ...data, modelChannels: 8, channelMult: [1] }) });
 * const untrained = initializeParameters(describeDenoiser(network), randomKey(0));
 * const [images, noise] = [zeros([1, 1, 4, 4]), ones([1, 1, 4, 4])];
 * const { error } = edm2Loss(network, untrained, images, tensor([0.5]), noise, null);
 * console.log(await error.mean().item()); // 0.5
 * ```
 */
export function edm2Loss(
  config: NetworkConfig,
  parameters: DenoiserParameters,
  images: Tensor,
  sigma: Tensor,
  noise: Tensor,
  classLabels: Tensor | null,
  run: NetworkRun = {},
): { readonly loss: Tensor; readonly error: Tensor } {
  const noisy = add(images, multiply(reshape(sigma, [...sigma.shape, 1, 1, 1]), noise));
  const denoised = denoise(config, parameters, noisy, sigma, classLabels, run);
  const error = weightedError(images, denoised, sigma, config.sigmaData, config);
  return { loss: config.lossHead ? uncertaintyLoss(error, logvar(config, parameters, sigma)) : error, error };
}
