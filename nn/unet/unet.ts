import { checkpoint, concat, EvenkeelError, ones, type Tensor, zeros } from "../../engine/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import { applyBlock, type BlockParameters, describeBlock } from "./block.ts";
import type { UNetConfig } from "./config.ts";
import { describeEmbedding, embed, type EmbeddingParameters } from "./embedding.ts";
import { joinSkip, keep } from "./functions.ts";
import { type UNetLayer, unetLayers } from "./layers.ts";
import { applyOutput, describeOutput, type OutputParameters } from "./output.ts";
import { type NetworkRun, runWithin } from "./run.ts";
import { describeLayer, type LayerParameters } from "./weights.ts";

/**
 * A U-Net's arrays, nested and named as in EDM2's published state dictionary. Names are the same in all configurations, so that layers
 * can be compared; what only earlier ones have (biases, norms, `emb_second`) comes in addition.
 */
export type UNetParameters<T = Tensor> = EmbeddingParameters<T> &
  OutputParameters<T> & {
    readonly enc: { readonly [name: string]: LayerParameters<T> | BlockParameters<T> };
    readonly dec: { readonly [name: string]: BlockParameters<T> };
  };

/**
 * The arrays of a U-Net before they have values: shapes, roles and how they are drawn.
 * @example
 * ```ts
 * const config = configG({ imageResolution: 8, imageChannels: 3, labelDim: 0, modelChannels: 4, channelMult: [1, 2], numBlocks: 1 });
 * console.log(Object.keys(describeUNet(config).enc)); // [ '8x8_conv', '8x8_block0', '4x4_down', '4x4_block0' ]
 * ```
 */
export function describeUNet(config: UNetConfig): UNetParameters<ParameterSpec> {
  const { enc, dec } = unetLayers(config);
  const describe = (layer: UNetLayer): LayerParameters<ParameterSpec> | BlockParameters<ParameterSpec> =>
    layer.kind === "conv"
      ? describeLayer(config, layer.inChannels, layer.outChannels, [3, 3])
      : describeBlock(layer.block);
  const describeAll = (layers: readonly UNetLayer[]): object =>
    Object.fromEntries(layers.map((layer) => [layer.name, describe(layer)]));
  const { out_gain: gain, ...output } = describeOutput(config);
  // The order is that of the published arrays: random draws depend on it.
  return {
    ...(gain === undefined ? {} : { out_gain: gain }),
    ...describeEmbedding(config),
    enc: describeAll(enc) as UNetParameters<ParameterSpec>["enc"],
    dec: describeAll(dec) as UNetParameters<ParameterSpec>["dec"],
    ...output,
  };
}

/**
 * The raw network F: x [N, C, H, W], the noise labels c_noise [N], and class labels [N, labelDim] or null (which counts as zeros)
 * to [N, C, H, W]. Karras et al. 2024, Fig. 16 to 22 (configurations A to G).
 * @throws EvenkeelError `shape` if x or the labels are not of the configuration's sizes.
 * @example
 * ```ts
 * import { randomKey, randomNormal, tensor } from "evenkeel/engine";
 *
 * const config = configG({ imageResolution: 8, imageChannels: 3, labelDim: 0, modelChannels: 4, channelMult: [1, 2], numBlocks: 1 });
 * const parameters = initializeParameters(describeUNet(config), randomKey(0));
 * console.log(applyUNet(config, parameters, randomNormal(randomKey(1), [2, 3, 8, 8]), tensor([-1, 0.5]), null).shape); // [ 2, 3, 8, 8 ]
 * ```
 */
export function applyUNet(
  config: UNetConfig,
  parameters: UNetParameters,
  x: Tensor,
  noiseLabels: Tensor,
  classLabels: Tensor | null,
  run: NetworkRun = {},
): Tensor {
  const count = checkSizes(config, x, noiseLabels, classLabels, run.augmentLabels ?? null);
  const embedding = embed(config, parameters, noiseLabels, classLabels ?? zeros([count, config.labelDim]), run);
  const { enc, dec } = unetLayers(config);
  const { imageResolution: size } = config;
  const { layer: applyConv } = runWithin(run, config, "enc.");
  const apply = (layer: UNetBlock, side: "enc" | "dec", input: Tensor, skip?: Tensor): Tensor => {
    const own = parameters[side][layer.name] as BlockParameters;
    const joined = skip === undefined ? input : keep(config, joinSkip(config, input, skip, config.concatBalance));
    return applyBlock(layer.block, own, joined, embedding, run, `${side}.${layer.name}`);
  };
  const recomputed = checkpoint(apply);
  const lastBlock = dec.findLast(({ kind }) => kind === "block");
  const coarsest = config.channelMult.length === 1 ? 0 : size >> (config.channelMult.length - 1);
  const appliedTo = (layer: UNetBlock, { shape: [, , height = 0] }: Tensor): typeof apply => {
    // Derivatives begin with the last block, so that what it holds is needed at once; and blocks of the coarsest level hold little.
    const isKept = run.recomputesBlocks !== true || layer === lastBlock || height <= coarsest;
    return isKept ? apply : recomputed;
  };
  const skips: Tensor[] = [];
  let h = config.onesChannel ? concat([x, ones([count, 1, size, size])], 1) : x;
  for (const layer of enc) {
    h =
      layer.kind === "conv"
        ? keep(config, applyConv(layer.name, h, parameters.enc[layer.name] as LayerParameters))
        : appliedTo(layer, h)(layer, "enc", h);
    skips.push(h);
  }
  for (const layer of dec) {
    if (layer.kind === "conv") continue;
    h = appliedTo(layer, h)(layer, "dec", h, layer.skip ? skips.pop() : undefined);
  }
  return applyOutput(config, parameters, h, run);
}

type UNetBlock = Extract<UNetLayer, { readonly kind: "block" }>;

function checkSizes(
  config: UNetConfig,
  x: Tensor,
  noiseLabels: Tensor,
  classLabels: Tensor | null,
  augmentLabels: Tensor | null,
): number {
  const [count = 0] = x.shape;
  const { imageChannels: channels, imageResolution: size, labelDim, augmentDim } = config;
  const require = (argument: string, tensor: Tensor, shape: readonly (number | string)[]): void => {
    const fits =
      tensor.rank === shape.length && shape.every((n, axis) => typeof n === "string" || n === tensor.shape[axis]);
    if (!fits) {
      throw new EvenkeelError(
        "shape",
        `applyUNet: ${argument} is [${tensor.shape.join(", ")}], expected [${shape.join(", ")}].`,
      );
    }
  };
  require("x", x, ["N", channels, size, size]);
  require("noiseLabels", noiseLabels, [count]);
  if (classLabels !== null) require("classLabels", classLabels, [count, labelDim]);
  if (augmentLabels !== null) require("augmentLabels", augmentLabels, [count, augmentDim]);
  return count;
}
