import type { Tensor } from "../../engine/index.ts";
import type { GroupNormParameters } from "../classic/index.ts";
import { cosineAttention, dotProductAttention } from "../mp/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import type { BlockConfig } from "./blockConfig.ts";
import { joinBranch, keep } from "./functions.ts";
import { attentionHeads } from "./heads.ts";
import { applyNorm, describeNorm } from "./norms.ts";
import type { LayerRun } from "./run.ts";
import { describeLayer, type LayerParameters } from "./weights.ts";

/** The arrays of a block's attention, if it has any; a block with fewer channels than a head has none. */
export type AttentionParameters<T = Tensor> = {
  readonly norm2?: GroupNormParameters<T>;
  readonly attn_qkv?: LayerParameters<T>;
  readonly attn_proj?: LayerParameters<T>;
};

/** @throws EvenkeelError `shape` if the channels don't divide into heads. */
export function describeAttention(config: BlockConfig): AttentionParameters<ParameterSpec> {
  const { outChannels: channels, channelsPerHead, switches } = config;
  if (!config.attention || attentionHeads(channels, channelsPerHead) === 0) return {};
  // Cosine attention has its own norm, behind the layer.
  const norm2 = switches.attentionKind === "dotProduct" ? describeNorm(switches, channels) : undefined;
  return {
    ...(norm2 === undefined ? {} : { norm2 }),
    attn_qkv: describeLayer(switches, channels, channels * 3, [1, 1]),
    attn_proj: describeLayer(switches, channels, channels, [1, 1], { isLast: true }),
  };
}

/** Attention over the pixels of x [N, C, H, W], added to it. Switches `attentionKind`, and those of norms, layers and sums. */
export function applyAttention(
  config: BlockConfig,
  { norm2, attn_qkv: qkv, attn_proj: proj }: AttentionParameters,
  x: Tensor,
  { layer, tap }: LayerRun,
): Tensor {
  if (qkv === undefined || proj === undefined) return x;
  const { switches, channelsPerHead, attnBalance } = config;
  const kept = (value: Tensor): Tensor => keep(config, value);
  const show = (what: string, value: Tensor): void => tap(`attn.${what}`, value);
  const channels = x.shape[1] ?? 0;
  const width = channels / attentionHeads(channels, channelsPerHead);
  const attended =
    switches.attentionKind === "cosine"
      ? cosineAttention(kept(layer("attn_qkv", x, qkv)), width, show, kept)
      : dotProductAttention(kept(layer("attn_qkv", kept(applyNorm(switches, x, norm2)), qkv)), width, show);
  return kept(joinBranch(switches, x, kept(layer("attn_proj", kept(attended), proj)), attnBalance));
}
