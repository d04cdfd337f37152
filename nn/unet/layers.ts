import type { BlockConfig } from "./blockConfig.ts";
import { embeddingChannels, type UNetConfig } from "./config.ts";

/** A module of the encoder or decoder. `skip`: it first takes the newest of the encoder's outputs that are left. */
export type UNetLayer =
  | { readonly kind: "conv"; readonly name: string; readonly inChannels: number; readonly outChannels: number }
  | { readonly kind: "block"; readonly name: string; readonly skip: boolean; readonly block: BlockConfig };

/**
 * Fewest arrays that a network can have, by its levels and blocks alone: each block has two convolutions and a linear layer.
 * @example console.log(leastArrays({ channelMult: [1, 2, 3, 4], numBlocks: 3 })); // 108
 */
export function leastArrays({ channelMult, numBlocks }: Pick<UNetConfig, "channelMult" | "numBlocks">): number {
  const levels = channelMult.length;
  return 3 * (levels * numBlocks + levels * (numBlocks + 1) + 2 * levels);
}

/**
 * The encoder's and the decoder's modules in order, by the reference's names (`16x16_block0`). Every output of the encoder is a
 * skip, and each numbered block of the decoder takes one, last in first out. The same in all configurations. Karras et al.
 * 2024, Fig. 16 to 22.
 */
export function unetLayers(config: UNetConfig): {
  readonly enc: readonly UNetLayer[];
  readonly dec: readonly UNetLayer[];
} {
  const widths = config.channelMult.map((mult) => mult * config.modelChannels);
  const embChannels = embeddingChannels(config);
  const block = (
    options: Pick<BlockConfig, "flavor" | "inChannels" | "outChannels"> & Partial<BlockConfig>,
  ): BlockConfig => ({
    embChannels,
    resampleMode: "keep",
    attention: false,
    resampleFilter: config.resampleFilter,
    channelsPerHead: config.channelsPerHead,
    dropout: config.dropout,
    resBalance: config.resBalance,
    attnBalance: config.attnBalance,
    clipAct: config.clipAct,
    activations: config.activations,
    switches: config,
    ...options,
  });

  const enc: UNetLayer[] = [];
  const dec: UNetLayer[] = [];
  const skips: number[] = [];
  let channels = config.imageChannels + (config.onesChannel ? 1 : 0);
  widths.forEach((width, level) => {
    const resolution = config.imageResolution >> level;
    const prefix = `${resolution}x${resolution}`;
    if (level === 0) {
      enc.push({ kind: "conv", name: `${prefix}_conv`, inChannels: channels, outChannels: width });
      channels = width;
    } else {
      const down = block({ flavor: "enc", inChannels: channels, outChannels: channels, resampleMode: "down" });
      enc.push({ kind: "block", name: `${prefix}_down`, skip: false, block: down });
    }
    skips.push(channels);
    for (let index = 0; index < config.numBlocks; index++) {
      const attention = config.attnResolutions.includes(resolution);
      const options = block({ flavor: "enc", inChannels: channels, outChannels: width, attention });
      enc.push({ kind: "block", name: `${prefix}_block${index}`, skip: false, block: options });
      channels = width;
      skips.push(channels);
    }
  });

  for (let level = widths.length - 1; level >= 0; level--) {
    const width = widths[level] ?? channels;
    const resolution = config.imageResolution >> level;
    const prefix = `${resolution}x${resolution}`;
    const add = (name: string, skip: boolean, options: Partial<BlockConfig>): void => {
      const inChannels = channels + (skip ? (skips.pop() ?? 0) : 0);
      const outChannels = skip ? width : channels;
      channels = outChannels;
      dec.push({
        kind: "block",
        name: `${prefix}_${name}`,
        skip,
        block: block({ flavor: "dec", inChannels, outChannels, ...options }),
      });
    };
    if (level === widths.length - 1) {
      add("in0", false, { attention: true });
      add("in1", false, {});
    } else add("up", false, { resampleMode: "up" });
    const attention = config.attnResolutions.includes(resolution);
    for (let index = 0; index <= config.numBlocks; index++) add(`block${index}`, true, { attention });
  }
  return { enc, dec };
}
