import { add, clamp, EvenkeelError, multiply, reshape, type Tensor } from "../../engine/index.ts";
import {
  cosineAttention,
  describeMpConv,
  mpConv,
  mpSilu,
  mpSum,
  pixelNorm,
  resample,
  type ResampleMode,
  type WeightParameters,
} from "../mp/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import type { Run } from "./run.ts";

/** A residual block: its place, sizes and constants. */
export type BlockConfig = {
  /** Encoder blocks start with a 1x1 convolution (if widths differ) and a pixel norm; decoder blocks have neither there. */
  readonly flavor: "enc" | "dec";
  readonly inChannels: number;
  readonly outChannels: number;
  readonly embChannels: number;
  readonly resampleMode: ResampleMode;
  readonly resampleFilter: readonly number[];
  readonly attention: boolean;
  readonly channelsPerHead: number;
  readonly dropout: number;
  readonly resBalance: number;
  readonly attnBalance: number;
  readonly clipAct: number | null;
};

/** A block's arrays under the names that its published weights have. */
export type BlockParameters<T = Tensor> = {
  readonly emb_gain: T;
  readonly conv_res0: WeightParameters<T>;
  readonly emb_linear: WeightParameters<T>;
  readonly conv_res1: WeightParameters<T>;
  readonly conv_skip?: WeightParameters<T>;
  readonly attn_qkv?: WeightParameters<T>;
  readonly attn_proj?: WeightParameters<T>;
};

/** @throws EvenkeelError `shape` if the channels don't divide into heads. */
export function describeBlock(config: BlockConfig): BlockParameters<ParameterSpec> {
  const { flavor, inChannels, outChannels, embChannels, attention, channelsPerHead } = config;
  if (attention && outChannels % channelsPerHead !== 0) {
    throw new EvenkeelError(
      "shape",
      `describeBlock: ${outChannels} channels don't divide into heads of ${channelsPerHead}.`,
    );
  }
  return {
    emb_gain: { shape: [], role: "gain", init: { kind: "constant", value: 0 } },
    conv_res0: describeMpConv(flavor === "enc" ? outChannels : inChannels, outChannels, [3, 3]),
    emb_linear: describeMpConv(embChannels, outChannels, []),
    conv_res1: describeMpConv(outChannels, outChannels, [3, 3]),
    ...(inChannels === outChannels ? {} : { conv_skip: describeMpConv(inChannels, outChannels, [1, 1]) }),
    ...(attention
      ? {
          attn_qkv: describeMpConv(outChannels, outChannels * 3, [1, 1]),
          attn_proj: describeMpConv(outChannels, outChannels, [1, 1]),
        }
      : {}),
  };
}

/**
 * A residual block: x [N, inChannels, H, W] and the embedding [N, embChannels] to [N, outChannels, H', W'].
 * Karras et al. 2024, Fig. 22 and section B.7.
 */
export function applyBlock(
  config: BlockConfig,
  parameters: BlockParameters,
  input: Tensor,
  embedding: Tensor,
  run: Run = {},
  name = "block",
): Tensor {
  const layer = (which: string, x: Tensor, weights: WeightParameters, gain?: Tensor): Tensor => {
    const output = mpConv(x, weights.weight, gain);
    run.tap?.(`${name}.${which}`, output);
    return output;
  };
  let x = resample(input, config.resampleMode, config.resampleFilter);
  if (config.flavor === "enc") {
    if (parameters.conv_skip !== undefined) x = layer("conv_skip", x, parameters.conv_skip);
    x = pixelNorm(x);
  }

  let y = layer("conv_res0", mpSilu(x), parameters.conv_res0);
  const scale = add(layer("emb_linear", embedding, parameters.emb_linear, parameters.emb_gain), 1);
  y = mpSilu(multiply(y, reshape(scale, [...scale.shape, 1, 1])));
  if (config.dropout > 0) y = run.dropout?.(y, config.dropout, name) ?? y;
  y = layer("conv_res1", y, parameters.conv_res1);

  if (config.flavor === "dec" && parameters.conv_skip !== undefined) x = layer("conv_skip", x, parameters.conv_skip);
  x = mpSum(x, y, config.resBalance);

  if (parameters.attn_qkv !== undefined && parameters.attn_proj !== undefined) {
    const qkv = layer("attn_qkv", x, parameters.attn_qkv);
    const attended = cosineAttention(qkv, config.channelsPerHead, (what, value) =>
      run.tap?.(`${name}.attn.${what}`, value),
    );
    x = mpSum(x, layer("attn_proj", attended, parameters.attn_proj), config.attnBalance);
  }
  return config.clipAct === null ? x : clamp(x, -config.clipAct, config.clipAct);
}
