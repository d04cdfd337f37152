/** How much memory sampling takes on a device, known before weights are read. */
import { type Device, memoryOf, type Tensor, zeros } from "../../engine/index.ts";
import { flattenParameters, type NamedParameters, nestParameters, type ParameterSpec } from "../../nn/index.ts";
import {
  countNetwork,
  denoise,
  type DenoiserParameters,
  describeDenoiser,
  type NetworkConfig,
} from "../network/index.ts";

/** Bytes on a device: weights of all networks, and the most that is in use at once. */
export type SamplingForecast = { readonly weights: number; readonly most: number };

/** Of what a device can hold, the part from which programs are planned rather than bounded. */
const largeShare = 1 / 8;

/**
 * What the networks take, each of which is asked for `networkBatch` images at once. Of networks that are small for the device this is a
 * bound: what layers put out is never there all at once, nor are normalized weights. Of large ones the programs are planned, which takes
 * a second or two.
 * @param limits the device's.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const network = configurationNetwork("G", { imageResolution: 16, imageChannels: 3, labelDim: 0, modelChannels: 8 });
 * const { weights, most } = await samplingMemory([network], 4, (await getDevice("wasm")).limits);
 * console.log(weights, most > weights); // 1747572 true
 * ```
 */
export async function samplingMemory(
  networks: readonly NetworkConfig[],
  networkBatch: number,
  limits: Device["limits"],
): Promise<SamplingForecast> {
  const bounds = networks.map((config) => {
    const { parameters, outputs } = countNetwork(config);
    return 4 * (2 * parameters + outputs * networkBatch);
  });
  const bound = bounds.reduce((sum, bytes) => sum + bytes, 0);
  if (bound <= limits.memory * largeShare) {
    const parameters = networks.reduce((sum, config) => sum + countNetwork(config).parameters, 0);
    return { weights: 4 * parameters, most: bound + 2 ** 24 };
  }
  let [weights, programs] = [0, 0];
  for (const config of networks) {
    const { imageChannels, imageResolution, labelDim } = config.unet;
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
    const named: NamedParameters = Object.fromEntries(
      Object.entries(specs).map(([name, { shape }]) => [name, zeros(shape)]),
    );
    const { total } = await memoryOf(
      (given: NamedParameters, x: Tensor, sigma: Tensor, labels: Tensor | null) =>
        denoise(config, nestParameters<DenoiserParameters>(given), x, sigma, labels),
      [
        named,
        zeros([networkBatch, imageChannels, imageResolution, imageResolution]),
        zeros([networkBatch]),
        labelDim === 0 ? null : zeros([networkBatch, labelDim]),
      ],
      limits,
    );
    const own = Object.values(named).reduce((sum, { size }) => sum + 4 * size, 0);
    weights += own;
    programs += total - own;
  }
  // Beside: code, packed operands of products.
  return { weights, most: weights + programs + programs / 8 + 2 ** 24 };
}
