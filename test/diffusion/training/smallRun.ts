import { networkConfig } from "../../../diffusion/network/index.ts";
import type { HostBatch } from "../../../diffusion/data/index.ts";
import type { TrainingOptions } from "../../../diffusion/training/index.ts";

/** The smallest network with every kind of layer: two levels, attention, labels. */
export const smallNetwork = networkConfig({
  unet: {
    imageResolution: 8,
    imageChannels: 3,
    labelDim: 4,
    modelChannels: 4,
    channelMult: [1, 2],
    numBlocks: 1,
    attnResolutions: [4],
    channelsPerHead: 4,
  },
  logvarChannels: 8,
});

export const smallOptions: TrainingOptions = {
  network: smallNetwork,
  noise: { mean: -0.8, standardDeviation: 1.2 },
  adam: { beta1: 0.9, beta2: 0.99 },
  lossScaling: 1,
  labelDropout: 0,
  seed: 3,
  batch: 8,
  batchDevice: 8,
  learningRate: { reference: 0.02, referenceBatches: 50, rampUpMimg: 0 },
  emaSigmaRels: [0.05, 0.1],
};

/** The same with one level and no attention, for who counts each kernel. */
export const flatOptions: TrainingOptions = {
  ...smallOptions,
  network: networkConfig({
    unet: { ...smallNetwork.unet, channelMult: [1], attnResolutions: [] },
    logvarChannels: smallNetwork.logvarChannels,
  }),
};

/** Images number `nimg` and on of an endless set: smooth waves whose direction is their class. */
export function smallBatch(nimg: number, count: number): HostBatch {
  const images = new Float32Array(count * 3 * 64);
  const labels = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const number = nimg + i;
    const label = number % 4;
    labels[i * 4 + label] = 1;
    for (let p = 0; p < 192; p++) {
      const [channel, y, x] = [Math.floor(p / 64), Math.floor(p / 8) % 8, p % 8];
      images[i * 192 + p] = 0.7 * Math.sin(number + channel + (label % 2 ? x : y) * (label < 2 ? 0.8 : 1.6));
    }
  }
  return { images, labels };
}
