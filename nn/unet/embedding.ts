import { multiply, type Tensor } from "../../engine/index.ts";
import { positionalFeatures } from "../classic/index.ts";
import { describeFourier, fourierFeatures, type FourierParameters } from "../mp/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import { embeddingChannels, noiseChannels, type UNetConfig } from "./config.ts";
import { activate, joinBranch } from "./functions.ts";
import { type NetworkRun, runWithin } from "./run.ts";
import { describeLayer, type LayerParameters } from "./weights.ts";

/** The arrays of the embedding under the names that EDM2's published weights have. */
export type EmbeddingParameters<T = Tensor> = {
  readonly emb_fourier?: FourierParameters<T>;
  readonly emb_augment?: LayerParameters<T>;
  readonly emb_noise: LayerParameters<T>;
  /** The second layer of configurations A to E. */
  readonly emb_second?: LayerParameters<T>;
  readonly emb_label?: LayerParameters<T>;
};

export function describeEmbedding(config: UNetConfig): EmbeddingParameters<ParameterSpec> {
  const [noise, width] = [noiseChannels(config), embeddingChannels(config)];
  const { labelDim, augmentDim } = config;
  return {
    ...(config.noiseFeatures === "fourier" ? { emb_fourier: describeFourier(noise) } : {}),
    ...(augmentDim > 0
      ? { emb_augment: { weight: describeLayer(config, augmentDim, noise, [], { isLast: true }).weight } }
      : {}),
    emb_noise: describeLayer(config, noise, width, []),
    ...(config.embeddingLayers === 2 ? { emb_second: describeLayer(config, width, width, []) } : {}),
    ...(labelDim > 0 ? { emb_label: describeLayer(config, labelDim, width, [], { isLabel: true }) } : {}),
  };
}

/**
 * The noise level c_noise [N] and the label [N, labelDim] as one vector [N, embeddingChannels]. Switches `noiseFeatures`,
 * `mpFeatures`, `embeddingLayers`, `labelScaling`, and those of layers and sums.
 */
export function embed(
  config: UNetConfig,
  parameters: EmbeddingParameters,
  noiseLabels: Tensor,
  classLabels: Tensor,
  run: NetworkRun,
): Tensor {
  const { layer } = runWithin(run, config, "");
  const { emb_fourier: fourier, emb_augment: augment, emb_second: second, emb_label: label } = parameters;
  let features =
    fourier === undefined
      ? positionalFeatures(noiseLabels, noiseChannels(config))
      : fourierFeatures(noiseLabels, fourier);
  // Cosines of all phases, or of an angle and its complement, have magnitude sqrt(1/2).
  if (config.mpFeatures) features = multiply(features, Math.SQRT2);
  if (augment !== undefined && run.augmentLabels !== undefined) {
    features = joinBranch(config, features, layer("emb_augment", run.augmentLabels, augment), config.labelBalance);
  }
  let embedding = layer("emb_noise", features, parameters.emb_noise);
  if (second !== undefined) embedding = layer("emb_second", activate(config, embedding), second);
  if (label !== undefined) {
    // A one-hot vector has magnitude 1 / sqrt(labelDim).
    const scaled = config.labelScaling ? multiply(classLabels, Math.sqrt(config.labelDim)) : classLabels;
    embedding = joinBranch(config, embedding, layer("emb_label", scaled, label), config.labelBalance);
  }
  return activate(config, embedding);
}
