import { EvenkeelError } from "../../engine/index.ts";
import type { ConfigurationName, UNetConfig, UNetData } from "../../nn/index.ts";

/**
 * Settings of a run that were found to work, under their published names; the data give the rest (resolution, channels, classes).
 */
export type Preset = {
  readonly description: string;
  /** What data it is meant for. A run takes these from its own data. */
  readonly data: UNetData;
  /** What its noise levels and rates were found for: others' latents, pixels, or nothing in particular. */
  readonly takes: "pictures" | "latents" | "anything";
  /** Images to train on, counting repetitions. */
  readonly duration: number;
  readonly batch: number;
  /** Base width, alpha_ref, t_ref in batches. */
  readonly channels: number;
  readonly lr: number;
  readonly decay: number;
  /** Millions of images over which the rate rises. */
  readonly rampup: number;
  readonly dropout: number;
  readonly P_mean: number;
  readonly P_std: number;
  /** Learning rates of other configurations than G, where they were looked for; else they are in the published proportions. */
  readonly lrOf?: Partial<Record<ConfigurationName, number>>;
  /** Lengths of the stored averages. */
  readonly ema: readonly number[];
  /** Where the network's depth differs from the paper's. */
  readonly unet?: Partial<Pick<UNetConfig, "channelMult" | "numBlocks" | "attnResolutions" | "channelsPerHead">>;
  /** Length of the post-hoc average to sample from. */
  readonly sampleEma: number;
};

const Mi = 2 ** 20;

function paper(
  size: string,
  durationMi: number,
  channels: number,
  lr: number,
  dropout: number,
  sampleEma: number,
): [string, Preset] {
  const latent = size.startsWith("img512");
  return [
    `edm2-${size}`,
    {
      description: `Karras et al. 2024, ${latent ? "ImageNet-512 latents" : "ImageNet-64"}, size ${size.slice(size.indexOf("-") + 1).toUpperCase()}`,
      data: { imageResolution: 64, imageChannels: latent ? 4 : 3, labelDim: 1000 },
      takes: latent ? "latents" : "pictures",
      duration: durationMi * Mi,
      batch: 2048,
      channels,
      lr,
      decay: latent ? 70000 : 35000,
      rampup: 10,
      dropout,
      P_mean: latent ? -0.4 : -0.8,
      P_std: latent ? 1 : 1.6,
      ema: [0.05, 0.1],
      sampleEma,
    },
  ];
}

/** What the small presets have in common: two cores, minutes. */
const small = {
  takes: "pictures",
  batch: 32,
  decay: 2000,
  rampup: 0.016,
  dropout: 0,
  P_mean: -0.8,
  P_std: 1.6,
  lr: 0.02,
  // About half of rates that do well at 16 channels (docs/ladder), for twice the width. The published proportion to G's would be a
  // tenth of them: weights that aren't normalized take higher rates in narrow networks.
  lrOf: { A: 0.003, B: 0.006, C: 0.004 },
  ema: [0.05, 0.1],
  sampleEma: 0.1,
} as const;

/** Every preset by name: the paper's (Table 6 and the published settings), then ours for two cores. */
export const presets: Readonly<Record<string, Preset>> = {
  ...Object.fromEntries([
    paper("img512-xxs", 2048, 64, 0.017, 0, 0.13),
    paper("img512-xs", 2048, 128, 0.012, 0, 0.135),
    paper("img512-s", 2048, 192, 0.01, 0, 0.13),
    paper("img512-m", 2048, 256, 0.009, 0.1, 0.1),
    paper("img512-l", 1792, 320, 0.008, 0.1, 0.085),
    paper("img512-xl", 1280, 384, 0.007, 0.1, 0.085),
    paper("img512-xxl", 896, 448, 0.0065, 0.1, 0.07),
    paper("img64-xs", 1024, 128, 0.012, 0, 0.075),
    paper("img64-s", 1024, 192, 0.01, 0, 0.075),
    paper("img64-m", 2048, 256, 0.009, 0.1, 0.06),
    paper("img64-l", 1024, 320, 0.008, 0.1, 0.04),
    paper("img64-xl", 640, 384, 0.007, 0.1, 0.04),
  ]),
  emoji16: {
    ...small,
    description: "emoji at 16x16 in colour, 9 classes: ten minutes on two cores",
    data: { imageResolution: 16, imageChannels: 3, labelDim: 9 },
    duration: 140_000,
    decay: 1500,
    channels: 32,
    unet: { channelMult: [1, 2], numBlocks: 1, attnResolutions: [8] },
  },
  emoji32: {
    ...small,
    description: "emoji at 32x32 in colour, 9 classes: most of an hour on two cores",
    data: { imageResolution: 32, imageChannels: 3, labelDim: 9 },
    duration: 200_000,
    channels: 32,
    unet: { channelMult: [1, 2, 2], numBlocks: 1, attnResolutions: [8] },
  },
  fashion16: {
    ...small,
    description: "Fashion-MNIST at 16x16 in grey, 10 classes: minutes on two cores",
    data: { imageResolution: 16, imageChannels: 1, labelDim: 10 },
    duration: 88_000,
    channels: 32,
    unet: { channelMult: [1, 2], numBlocks: 1, attnResolutions: [8] },
  },
  fashion32: {
    ...small,
    description: "Fashion-MNIST at 32x32 in grey, 10 classes: most of an hour on two cores",
    data: { imageResolution: 32, imageChannels: 1, labelDim: 10 },
    duration: 200_000,
    channels: 32,
    unet: { channelMult: [1, 2, 2], numBlocks: 1, attnResolutions: [8] },
  },
  smoke: {
    ...small,
    description: "any data, the smallest network: seconds, to see that everything works",
    data: { imageResolution: 16, imageChannels: 3, labelDim: 9 },
    takes: "anything",
    duration: 2_048,
    batch: 16,
    channels: 8,
    decay: 100,
    rampup: 0.0005,
    unet: { channelMult: [1, 2], numBlocks: 1, attnResolutions: [8], channelsPerHead: 8 },
  },
};

/**
 * @throws EvenkeelError `value` that lists the presets.
 * @example console.log(presetOf("emoji16").data.imageResolution); // 16
 */
export function presetOf(name: string): Preset {
  const preset = Object.hasOwn(presets, name) ? presets[name] : undefined;
  if (preset === undefined) {
    throw new EvenkeelError(
      "value",
      `unknown preset ${JSON.stringify(name)}; there are ${Object.keys(presets).join(", ")}.`,
    );
  }
  return preset;
}
