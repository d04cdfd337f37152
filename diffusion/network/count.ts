import { type Tensor, zeros } from "../../engine/index.ts";
import { flattenParameters, nestParameters, type ParameterSpec } from "../../nn/index.ts";
import type { NetworkConfig } from "./config.ts";
import { denoise, type DenoiserParameters, describeDenoiser, logvar } from "./denoiser.ts";

/** A layer with weights, or the products of attention. Norms and gains, which multiply nothing, aren't layers. */
export type LayerCount = {
  readonly name: string;
  /** Trained values. */
  readonly parameters: number;
  /** Multiply-accumulates for one image. */
  readonly macs: number;
  /** Elements of its output for one image. */
  readonly outputs: number;
};

/** What a network costs; see `countNetwork`. */
export type NetworkCount = {
  /** Trained values, without fixed features: the network and its loss head. */
  readonly parameters: number;
  /** Those of the loss head. Published counts of configurations A to F are without them, those of G with them. */
  readonly lossHeadParameters: number;
  /** Multiply-accumulates of convolutions, linear layers and attention for one image. */
  readonly macs: number;
  /** Outputs of layers for one image, in elements: what a backward pass needs at least. */
  readonly outputs: number;
  readonly layers: readonly LayerCount[];
};

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

/**
 * Counts a network without making its weights: its graph is recorded for one image, and nothing is computed.
 * @example
 * ```ts
 * import { presetNetwork, presetOf } from "evenkeel/diffusion";
 *
 * const network = presetNetwork("G", presetOf("emoji16"), { imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(countNetwork(network).parameters); // 723627
 * ```
 */
export function countNetwork(config: NetworkConfig): NetworkCount {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
  const named = Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, zeros(shape)]));
  const parameters = nestParameters<DenoiserParameters>(named);
  const { imageChannels: channels, imageResolution: size, labelDim } = config.unet;
  const layers: LayerCount[] = [];
  const add = (name: string, output: Tensor): void => {
    const attention = /\.attn\.(logits|weights)$/.exec(name);
    if (attention !== null) {
      // Both products have as many terms for each of logits' elements as a head has channels.
      const [all = 0] = specs[`unet.${name.slice(0, attention.index)}.attn_proj.weight`]?.shape ?? [];
      const [, heads = 1] = output.shape;
      layers.push({ name, parameters: 0, macs: (output.size * all) / heads, outputs: output.size });
      return;
    }
    const [weight, bias] = ["weight", "bias"].map(
      (array) => specs[`unet.${name}.${array}`] ?? specs[`${name}.${array}`],
    );
    if (weight === undefined) throw new RangeError(`no weight for layer ${name}`);
    const fan = weight.shape.slice(1);
    const macs = output.size * sizeOf(fan);
    const trained = sizeOf(weight.shape) + (bias === undefined ? 0 : sizeOf(bias.shape));
    layers.push({ name, parameters: trained, macs, outputs: output.size });
  };
  const sigma = zeros([1]);
  denoise(config, parameters, zeros([1, channels, size, size]), sigma, labelDim > 0 ? zeros([1, labelDim]) : null, {
    tap: add,
  });
  if (config.lossHead) add("logvar_linear", logvar(config, parameters, sigma));
  const trained = Object.entries(specs).filter(([, { role }]) => role !== "buffer");
  const count = (arrays: typeof trained): number => arrays.reduce((total, [, { shape }]) => total + sizeOf(shape), 0);
  const sum = (field: "macs" | "outputs"): number => layers.reduce((total, layer) => total + layer[field], 0);
  return {
    parameters: count(trained),
    lossHeadParameters: count(trained.filter(([name]) => name.startsWith("logvar_"))),
    macs: sum("macs"),
    outputs: sum("outputs"),
    layers,
  };
}
