import { add, EvenkeelError, multiply, reshape, type Tensor } from "../../engine/index.ts";
import {
  applyLayer,
  applyUNet,
  describeFourier,
  describeLayer,
  describeUNet,
  fourierFeatures,
  type FourierParameters,
  type LayerParameters,
  type ParameterSpec,
  type NetworkRun,
  type UNetParameters,
} from "../../nn/index.ts";
import type { NetworkConfig } from "./config.ts";
import { precondition } from "./precondition.ts";

/** A denoiser's arrays, nested and named as in EDM2's published state dictionary. Without a loss head, the network alone. */
export type DenoiserParameters<T = Tensor> = {
  readonly unet: UNetParameters<T>;
  readonly logvar_fourier?: FourierParameters<T>;
  readonly logvar_linear?: LayerParameters<T>;
};

/**
 * The arrays of a denoiser before they have values.
 * @example
 * ```ts
 * import { configG } from "evenkeel/nn";
 *
 * const network = networkConfig({ unet: configG({ imageResolution: 16, imageChannels: 3, labelDim: 0 }) });
 * console.log(describeDenoiser(network).logvar_linear?.weight.shape); // [ 1, 128 ]
 * ```
 */
export function describeDenoiser(config: NetworkConfig): DenoiserParameters<ParameterSpec> {
  return {
    unet: describeUNet(config.unet),
    ...(config.lossHead
      ? {
          logvar_fourier: describeFourier(config.logvarChannels),
          logvar_linear: describeLayer(config.unet, config.logvarChannels, 1, []),
        }
      : {}),
  };
}

/** sigma [N] as [N, 1, 1, 1], to weigh images. */
function perImage(sigma: Tensor): Tensor {
  return reshape(sigma, [...sigma.shape, 1, 1, 1]);
}

/**
 * The denoised images D(x; sigma): x [N, C, H, W] with noise of level sigma [N], its standard deviation if it is Gaussian; class labels [N, labelDim], or null
 * for none. Karras et al. 2024, Eq. 4.
 * @example
 * ```ts
 * import { ones, randomKey, tensor } from "evenkeel/engine";
 * import { configG, initializeParameters } from "evenkeel/nn";
 *
 * const data = { imageResolution: 4, imageChannels: 1, labelDim: 0 };
 * const network = networkConfig({ unet: configG({ ...data, modelChannels: 8, channelMult: [1] }) });
 * const untrained = initializeParameters(describeDenoiser(network), randomKey(0));
 * const denoised = denoise(network, untrained, ones([1, 1, 4, 4]), tensor([0.5]), null);
 * console.log(await denoised.mean().item()); // 0.5
 * ```
 */
export function denoise(
  config: NetworkConfig,
  parameters: Pick<DenoiserParameters, "unet">,
  x: Tensor,
  sigma: Tensor,
  classLabels: Tensor | null,
  run: NetworkRun = {},
): Tensor {
  const { cIn, cNoise, cSkip, cOut } = precondition(sigma, config.sigmaData, config);
  const raw = applyUNet(config.unet, parameters.unet, multiply(perImage(cIn), x), cNoise, classLabels, run);
  return add(multiply(perImage(cSkip), x), multiply(perImage(cOut), raw));
}

/**
 * The loss head u(sigma), the logarithm of the expected weighted error: sigma [N] to [N, 1, 1, 1]. Section B.2.
 * @throws EvenkeelError `value` if the network has none.
 * @example
 * ```ts
 * import { randomKey, tensor } from "evenkeel/engine";
 * import { configG, initializeParameters } from "evenkeel/nn";
 *
 * const network = networkConfig({ unet: configG({ imageResolution: 16, imageChannels: 1, labelDim: 0, modelChannels: 8 }) });
 * const untrained = initializeParameters(describeDenoiser(network), randomKey(0));
 * console.log(logvar(network, untrained, tensor([0.1, 1])).shape); // [ 2, 1, 1, 1 ]
 * ```
 */
export function logvar(config: NetworkConfig, parameters: Omit<DenoiserParameters, "unet">, sigma: Tensor): Tensor {
  const { logvar_fourier: fourier, logvar_linear: linear } = parameters;
  if (fourier === undefined || linear === undefined) {
    throw new EvenkeelError(
      "value",
      "logvar: this network has no loss head (lossHead is false, as in configuration A).",
    );
  }
  const { cNoise } = precondition(sigma, config.sigmaData, config);
  const features = fourierFeatures(cNoise, fourier);
  const scaled = config.unet.mpFeatures ? multiply(features, Math.SQRT2) : features;
  return reshape(applyLayer(config.unet, scaled, linear), [...sigma.shape, 1, 1, 1]);
}
