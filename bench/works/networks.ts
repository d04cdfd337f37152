import { countNetwork, networkConfig, type NetworkConfig } from "../../diffusion/network/index.ts";
import { presetOf } from "../../diffusion/presets/index.ts";
import type { TrainingOptions } from "../../diffusion/training/index.ts";
import type { UNetConfig } from "../../nn/index.ts";
import type { Quantity } from "../work.ts";

/** A network and the number of images it is trained with. */
export type Net = { readonly name: string; readonly network: NetworkConfig; readonly batch: number };

function net(name: string, batch: number, unet: Partial<UNetConfig> & Pick<UNetConfig, "imageResolution">): Net {
  return { name, batch, network: networkConfig({ unet: { imageChannels: 3, labelDim: 10, ...unet } }) };
}

const small = { modelChannels: 32, channelMult: [1, 2], numBlocks: 1 };

/** 16x16 pixels, 0.7 million parameters. */
export const netA = net("a", 32, { ...small, imageResolution: 16, attnResolutions: [8] });

/** 32x32 pixels, 7 million parameters. */
export const netB = net("b", 16, {
  imageResolution: 32,
  modelChannels: 64,
  channelMult: [1, 2, 2],
  numBlocks: 2,
  attnResolutions: [16, 8],
});

/** 32x32 pixels, 28 million parameters: what is worth a GPU. */
export const netC = net("c", 64, {
  imageResolution: 32,
  modelChannels: 128,
  channelMult: [1, 2, 2],
  numBlocks: 2,
  attnResolutions: [16, 8],
});

/** EDM2-XS as the paper trains it on encoded images, 124.7 million parameters; two images at a time. */
export const netXs = net("EDM2-XS", 2, {
  imageResolution: 64,
  imageChannels: 4,
  labelDim: 1000,
  modelChannels: 128,
  channelMult: [1, 2, 3, 4],
  numBlocks: 3,
  attnResolutions: [16, 8],
});

/** As small as a net with all kinds of layers can be: for counting what its steps ask of a device. */
export const tinyNet = net("tiny", 2, {
  imageResolution: 8,
  modelChannels: 8,
  channelMult: [1, 2],
  numBlocks: 1,
  attnResolutions: [4],
  channelsPerHead: 8,
});

/** The largest of the small presets. */
export function netOfPreset(name: string): Net {
  const preset = presetOf(name);
  return net(name, preset.batch, { ...preset.data, modelChannels: preset.channels, ...preset.unet });
}

export const namedNets: Readonly<Record<string, () => Net>> = {
  a: () => netA,
  b: () => netB,
  emoji32: () => netOfPreset("emoji32"),
};

/** Net (a) with one of its sizes changed. Attention stays at half of the resolution, in heads as wide as the level allows. */
export function grownNet(size: "width" | "resolution" | "batch", value: number): Net {
  const width = size === "width" ? value : 32;
  const resolution = size === "resolution" ? value : 16;
  return net(`a with ${size} ${value}`, size === "batch" ? value : 32, {
    ...small,
    imageResolution: resolution,
    modelChannels: width,
    attnResolutions: [resolution / 2],
    channelsPerHead: Math.min(64, 2 * width),
  });
}

/** What all of them are trained with. */
export function trainingOptions({ network, batch }: Net): TrainingOptions {
  return {
    network,
    noise: { mean: -0.8, standardDeviation: 1.6 },
    adam: { beta1: 0.9, beta2: 0.99 },
    lossScaling: 1,
    labelDropout: 0,
    seed: 1,
    batch,
    batchDevice: batch,
    learningRate: { reference: 0.01, referenceBatches: 0, rampUpMimg: 0 },
    emaSigmaRels: [0.05, 0.1],
  };
}

/** The arithmetic of a step: layers with weights and attention, forward and twice as much backward. */
export function quantityOfStep({ network, batch }: Net): Quantity {
  return { amount: (6 * countNetwork(network).macs * batch) / 1e9, unit: "GFLOP" };
}

/** A batch: waves for images, one-hot labels in turn. */
export function batchOf({ network, batch }: Net): { readonly images: Float32Array; readonly labels: Float32Array } {
  const { imageChannels, imageResolution, labelDim } = network.unet;
  return {
    images: Float32Array.from(
      { length: batch * imageChannels * imageResolution ** 2 },
      (_, i) => Math.sin(i / 7) * 0.7,
    ),
    labels: Float32Array.from({ length: batch * labelDim }, (_, i) =>
      Number(i % labelDim === Math.floor(i / labelDim) % labelDim),
    ),
  };
}
