/** How much memory sampling takes on a device, known before weights are read. */
import { type Device, memoryOf, type Tensor, zeros } from "../../engine/index.ts";
import { flattenParameters, type NamedParameters, nestParameters, type ParameterSpec } from "../../nn/index.ts";
import type { NetworkConfig } from "../network/config.ts";
import { denoise, type DenoiserParameters, describeDenoiser } from "../network/denoiser.ts";

/** Bytes on a device: weights of all networks, and the most that is in use at once. */
export type SamplingForecast = { readonly weights: number; readonly most: number };

/**
 * What the networks take, each of which is asked for `networkBatch` images at once. Their programs are planned: of a large network that
 * takes a second or two.
 * @param limits the device's.
 */
export async function samplingMemory(
  networks: readonly NetworkConfig[],
  networkBatch: number,
  limits: Device["limits"],
): Promise<SamplingForecast> {
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
