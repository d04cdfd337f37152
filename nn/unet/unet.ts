import { concat, EvenkeelError, multiply, ones, type Tensor, zeros } from "../../engine/index.ts";
import {
  describeFourier,
  describeMpConv,
  type FourierParameters,
  mpCat,
  mpConv,
  mpFourier,
  mpSilu,
  mpSum,
  type WeightParameters,
} from "../mp/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import { applyBlock, type BlockParameters, describeBlock } from "./block.ts";
import { embeddingChannels, noiseChannels, type UNetConfig } from "./config.ts";
import { type UNetLayer, unetLayers } from "./layers.ts";
import type { Run } from "./run.ts";

/** A U-Net's arrays, nested and named as in the reference's state dictionary. */
export type UNetParameters<T = Tensor> = {
  readonly out_gain: T;
  readonly emb_fourier: FourierParameters<T>;
  readonly emb_noise: WeightParameters<T>;
  readonly emb_label?: WeightParameters<T>;
  readonly enc: { readonly [name: string]: WeightParameters<T> | BlockParameters<T> };
  readonly dec: { readonly [name: string]: BlockParameters<T> };
  readonly out_conv: WeightParameters<T>;
};

/** The arrays of a U-Net before they have values: shapes, roles and how they are drawn. */
export function describeUNet(config: UNetConfig): UNetParameters<ParameterSpec> {
  const { enc, dec } = unetLayers(config);
  const [noise, emb] = [noiseChannels(config), embeddingChannels(config)];
  const firstWidth = (config.channelMult[0] ?? 1) * config.modelChannels;
  const describe = (layer: UNetLayer): WeightParameters<ParameterSpec> | BlockParameters<ParameterSpec> =>
    layer.kind === "conv" ? describeMpConv(layer.inChannels, layer.outChannels, [3, 3]) : describeBlock(layer.block);
  const describeAll = (layers: readonly UNetLayer[]): object =>
    Object.fromEntries(layers.map((layer) => [layer.name, describe(layer)]));
  return {
    out_gain: { shape: [], role: "gain", init: { kind: "constant", value: 0 } },
    emb_fourier: describeFourier(noise),
    emb_noise: describeMpConv(noise, emb, []),
    ...(config.labelDim > 0 ? { emb_label: describeMpConv(config.labelDim, emb, []) } : {}),
    enc: describeAll(enc) as UNetParameters<ParameterSpec>["enc"],
    dec: describeAll(dec) as UNetParameters<ParameterSpec>["dec"],
    out_conv: describeMpConv(firstWidth, config.imageChannels, [3, 3]),
  };
}

/**
 * The raw network F: x [N, C, H, W], the noise labels c_noise [N], and class labels [N, labelDim] or null (which counts as zeros)
 * to [N, C, H, W]. Karras et al. 2024, Fig. 22 (configuration G).
 * @throws EvenkeelError `shape` if x or the labels are not of the configuration's sizes.
 */
export function applyUNet(
  config: UNetConfig,
  parameters: UNetParameters,
  x: Tensor,
  noiseLabels: Tensor,
  classLabels: Tensor | null,
  run: Run = {},
): Tensor {
  const count = checkSizes(config, x, noiseLabels, classLabels);
  const embedding = embed(config, parameters, noiseLabels, classLabels ?? zeros([count, config.labelDim]), run);
  const { enc, dec } = unetLayers(config);
  const { imageResolution: size } = config;
  const skips: Tensor[] = [];
  let h = concat([x, ones([count, 1, size, size])], 1);
  for (const layer of enc) {
    const own = parameters.enc[layer.name];
    if (layer.kind === "conv") {
      h = mpConv(h, (own as WeightParameters).weight);
      run.tap?.(`enc.${layer.name}`, h);
    } else h = applyBlock(layer.block, own as BlockParameters, h, embedding, run, `enc.${layer.name}`);
    skips.push(h);
  }
  for (const layer of dec) {
    if (layer.kind === "conv") continue;
    const skip = layer.skip ? skips.pop() : undefined;
    if (skip !== undefined) h = mpCat(h, skip, config.concatBalance);
    h = applyBlock(layer.block, parameters.dec[layer.name] as BlockParameters, h, embedding, run, `dec.${layer.name}`);
  }
  const output = mpConv(h, parameters.out_conv.weight, parameters.out_gain);
  run.tap?.("out_conv", output);
  return output;
}

/** The noise level and the label as one vector [N, embeddingChannels]. */
function embed(
  config: UNetConfig,
  parameters: UNetParameters,
  noiseLabels: Tensor,
  classLabels: Tensor,
  run: Run,
): Tensor {
  let embedding = mpConv(mpFourier(noiseLabels, parameters.emb_fourier), parameters.emb_noise.weight);
  run.tap?.("emb_noise", embedding);
  if (parameters.emb_label !== undefined) {
    // A one-hot vector has magnitude 1 / sqrt(labelDim).
    const label = mpConv(multiply(classLabels, Math.sqrt(config.labelDim)), parameters.emb_label.weight);
    run.tap?.("emb_label", label);
    embedding = mpSum(embedding, label, config.labelBalance);
  }
  return mpSilu(embedding);
}

function checkSizes(config: UNetConfig, x: Tensor, noiseLabels: Tensor, classLabels: Tensor | null): number {
  const [count = 0] = x.shape;
  const { imageChannels: channels, imageResolution: size, labelDim } = config;
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
  return count;
}
