import { add, clamp, multiply, reshape, slice, type Tensor } from "../../engine/index.ts";
import type { GroupNormParameters } from "../classic/index.ts";
import { pixelNorm, resample } from "../mp/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import { applyAttention, type AttentionParameters, describeAttention } from "./attention.ts";
import type { BlockConfig } from "./blockConfig.ts";
import { activate, joinBranch, keep } from "./functions.ts";
import { applyNorm, describeNorm } from "./norms.ts";
import { type LayerRun, type NetworkRun, runWithin } from "./run.ts";
import { describeLayer, type LayerParameters } from "./weights.ts";

/** A block's arrays under the names that EDM2's published weights have; norms have EDM's. */
export type BlockParameters<T = Tensor> = AttentionParameters<T> & {
  readonly emb_gain?: T;
  readonly norm0?: GroupNormParameters<T>;
  readonly conv_res0: LayerParameters<T>;
  readonly emb_linear: LayerParameters<T>;
  readonly norm1?: GroupNormParameters<T>;
  readonly conv_res1: LayerParameters<T>;
  readonly conv_skip?: LayerParameters<T>;
};

/** Whether both branches start behind the 1x1 convolution that changes the width. */
function widensAhead({ flavor, switches }: BlockConfig): boolean {
  return flavor === "enc" && switches.encoderWidening === "ahead";
}

/**
 * @throws EvenkeelError `shape` if the channels don't divide into heads, or into the groups of a norm.
 * @example
 * ```ts
 * const block = describeBlock({
 *   flavor: "enc", inChannels: 4, outChannels: 8, embChannels: 6, resampleMode: "keep", resampleFilter: [1, 1], attention: false,
 *   channelsPerHead: 4, dropout: 0, resBalance: 0.3, attnBalance: 0.3, clipAct: 256, activations: "float32", switches: configurationSwitches.G,
 * });
 * console.log(Object.keys(block)); // [ 'emb_gain', 'conv_res0', 'emb_linear', 'conv_res1', 'conv_skip' ]
 * ```
 */
export function describeBlock(config: BlockConfig): BlockParameters<ParameterSpec> {
  const { inChannels, outChannels, embChannels, switches } = config;
  const branchChannels = widensAhead(config) ? outChannels : inChannels;
  const [norm0, norm1] = [describeNorm(switches, branchChannels), describeNorm(switches, outChannels)];
  const conditions = switches.conditioning === "scaleShift" ? 2 : 1;
  return {
    ...(switches.gains ? { emb_gain: { shape: [], role: "gain", init: { kind: "constant", value: 0 } } } : {}),
    ...(norm0 === undefined ? {} : { norm0 }),
    conv_res0: describeLayer(switches, branchChannels, outChannels, [3, 3]),
    emb_linear: describeLayer(switches, embChannels, outChannels * conditions, []),
    ...(norm1 === undefined ? {} : { norm1 }),
    conv_res1: describeLayer(switches, outChannels, outChannels, [3, 3], { isLast: true }),
    ...(inChannels === outChannels ? {} : { conv_skip: describeLayer(switches, inChannels, outChannels, [1, 1]) }),
    ...describeAttention(config),
  };
}

/**
 * A residual block: x [N, inChannels, H, W] and the embedding [N, embChannels] to [N, outChannels, H', W'].
 * Karras et al. 2024, Fig. 16 to 22 and appendix B.
 * @example
 * ```ts
 * import { randomKey, randomNormal } from "evenkeel/engine";
 *
 * const config = {
 *   flavor: "enc", inChannels: 4, outChannels: 8, embChannels: 6, resampleMode: "down", resampleFilter: [1, 1], attention: false,
 *   channelsPerHead: 4, dropout: 0, resBalance: 0.3, attnBalance: 0.3, clipAct: 256, activations: "float32", switches: configurationSwitches.G,
 * } as const;
 * const parameters = initializeParameters(describeBlock(config), randomKey(0));
 * const [x, noise] = [randomNormal(randomKey(1), [2, 4, 8, 8]), randomNormal(randomKey(2), [2, 6])];
 * console.log(applyBlock(config, parameters, x, noise).shape); // [ 2, 8, 4, 4 ]
 * ```
 */
export function applyBlock(
  config: BlockConfig,
  parameters: BlockParameters,
  input: Tensor,
  embedding: Tensor,
  run: NetworkRun = {},
  name = "block",
): Tensor {
  const { switches } = config;
  const within = runWithin(run, switches, `${name}.`);
  const kept = (x: Tensor): Tensor => keep(config, x);
  const convolve = (name: string, x: Tensor, layer: LayerParameters): Tensor => kept(within.layer(name, x, layer));
  const resampleBy = (x: Tensor): Tensor =>
    config.resampleMode === "keep" ? x : kept(resample(x, config.resampleMode, config.resampleFilter));
  const widen = (x: Tensor): Tensor =>
    parameters.conv_skip === undefined ? x : convolve("conv_skip", x, parameters.conv_skip);

  const isAhead = switches.resampling === "ahead";
  let x = isAhead ? resampleBy(input) : input;
  if (widensAhead(config)) x = widen(x);
  if (config.flavor === "enc" && switches.pixelNorm) x = kept(pixelNorm(x));

  let y = kept(activate(switches, applyNorm(switches, x, parameters.norm0), kept));
  if (!isAhead) y = resampleBy(y);
  y = convolve("conv_res0", y, parameters.conv_res0);
  y = activate(switches, condition(config, parameters, y, embedding, within), kept);
  if (config.dropout > 0) y = run.dropout?.(y, config.dropout, name) ?? y;
  y = convolve("conv_res1", kept(y), parameters.conv_res1);

  if (!isAhead) x = resampleBy(x);
  if (!widensAhead(config)) x = widen(x);
  x = kept(joinBranch(switches, x, y, config.resBalance));
  x = applyAttention(config, parameters, x, within);
  return kept(config.clipAct === null ? x : clamp(x, -config.clipAct, config.clipAct));
}

/** What the embedding does to the features y [N, C, H, W]. Switches `groupNorm`, `conditioning` and `gains`. */
function condition(
  { switches, outChannels }: BlockConfig,
  parameters: BlockParameters,
  y: Tensor,
  embedding: Tensor,
  { layer }: LayerRun,
): Tensor {
  const conditions = layer("emb_linear", embedding, parameters.emb_linear, parameters.emb_gain);
  const perPixel = (x: Tensor): Tensor => reshape(x, [...x.shape, 1, 1]);
  const normed = applyNorm(switches, y, parameters.norm1);
  if (switches.conditioning === "scale") return multiply(normed, perPixel(add(conditions, 1)));
  const scale = add(slice(conditions, [null, [0, outChannels]]), 1);
  const shift = slice(conditions, [null, [outChannels, 2 * outChannels]]);
  return add(multiply(normed, perPixel(scale)), perPixel(shift));
}
