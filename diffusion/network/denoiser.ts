import { add, multiply, reshape, type Tensor } from "../../engine/index.ts";
import {
  applyUNet,
  describeFourier,
  describeMpConv,
  describeUNet,
  type FourierParameters,
  mpConv,
  mpFourier,
  type ParameterSpec,
  type Run,
  type UNetParameters,
  type WeightParameters,
} from "../../nn/index.ts";
import type { NetworkConfig } from "./config.ts";
import { precondition } from "./precondition.ts";

/** A denoiser's arrays, nested and named as in the reference's state dictionary. */
export type DenoiserParameters<T = Tensor> = {
  readonly unet: UNetParameters<T>;
  readonly logvar_fourier: FourierParameters<T>;
  readonly logvar_linear: WeightParameters<T>;
};

/** The arrays of a denoiser before they have values. */
export function describeDenoiser(config: NetworkConfig): DenoiserParameters<ParameterSpec> {
  return {
    unet: describeUNet(config.unet),
    logvar_fourier: describeFourier(config.logvarChannels),
    logvar_linear: describeMpConv(config.logvarChannels, 1, []),
  };
}

/** sigma [N] as [N, 1, 1, 1], to weigh images. */
function perImage(sigma: Tensor): Tensor {
  return reshape(sigma, [...sigma.shape, 1, 1, 1]);
}

/**
 * The denoised images D(x; sigma): x [N, C, H, W] with noise of standard deviation sigma [N]; class labels [N, labelDim], or null
 * for none. Karras et al. 2024, Eq. 4.
 */
export function denoise(
  config: NetworkConfig,
  parameters: Pick<DenoiserParameters, "unet">,
  x: Tensor,
  sigma: Tensor,
  classLabels: Tensor | null,
  run: Run = {},
): Tensor {
  const { cIn, cNoise, cSkip, cOut } = precondition(sigma, config.sigmaData);
  const raw = applyUNet(config.unet, parameters.unet, multiply(perImage(cIn), x), cNoise, classLabels, run);
  return add(multiply(perImage(cSkip), x), multiply(perImage(cOut), raw));
}

/** The loss head u(sigma), the logarithm of the expected weighted error: sigma [N] to [N, 1, 1, 1]. Section B.2. */
export function logvar(config: NetworkConfig, parameters: Omit<DenoiserParameters, "unet">, sigma: Tensor): Tensor {
  const { cNoise } = precondition(sigma, config.sigmaData);
  const features = mpFourier(cNoise, parameters.logvar_fourier);
  return reshape(mpConv(features, parameters.logvar_linear.weight), [...sigma.shape, 1, 1, 1]);
}
