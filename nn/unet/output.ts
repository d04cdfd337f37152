import type { Tensor } from "../../engine/index.ts";
import type { GroupNormParameters } from "../classic/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import type { UNetConfig } from "./config.ts";
import { activate, keep } from "./functions.ts";
import { applyNorm, describeNorm } from "./norms.ts";
import { type NetworkRun, runWithin } from "./run.ts";
import { describeLayer, type LayerParameters } from "./weights.ts";

/** The arrays of the output under the names that published weights have. */
export type OutputParameters<T = Tensor> = {
  readonly out_gain?: T;
  readonly out_norm?: GroupNormParameters<T>;
  readonly out_conv: LayerParameters<T>;
};

export function describeOutput(config: UNetConfig): OutputParameters<ParameterSpec> {
  const width = (config.channelMult[0] ?? 1) * config.modelChannels;
  const norm = config.outputActivation ? describeNorm(config, width) : undefined;
  return {
    ...(config.gains ? { out_gain: { shape: [], role: "gain", init: { kind: "constant", value: 0 } } } : {}),
    ...(norm === undefined ? {} : { out_norm: norm }),
    out_conv: describeLayer(config, width, config.imageChannels, [3, 3], { isLast: true }),
  };
}

/** Features [N, C, H, W] to images. Switches `outputActivation`, `groupNorm` and `gains`. */
export function applyOutput(
  config: UNetConfig,
  parameters: OutputParameters,
  features: Tensor,
  run: NetworkRun,
): Tensor {
  const { out_gain: gain, out_norm: norm, out_conv: conv } = parameters;
  const kept = (x: Tensor): Tensor => keep(config, x);
  const h = config.outputActivation ? kept(activate(config, applyNorm(config, features, norm), kept)) : features;
  return runWithin(run, config, "").layer("out_conv", h, conv, gain);
}
