import { type ImageDataset, labelDimOf, networkConfig, type TrainingOptions } from "../../diffusion/index.ts";
import type { TrainSettings } from "./settings.ts";

/** The settings of the command line, with the data's sizes, as the trainer takes them. */
export function trainingOptions(settings: TrainSettings, dataset: ImageDataset): TrainingOptions {
  return {
    network: networkConfig({
      unet: {
        imageResolution: dataset.resolution,
        imageChannels: dataset.channels,
        labelDim: settings.cond ? labelDimOf(dataset) : 0,
        modelChannels: settings.channels,
        channelMult: settings["channel-mult"],
        numBlocks: settings.blocks,
        attnResolutions: settings["attn-resolutions"],
        channelsPerHead: settings["channels-per-head"],
        dropout: settings.dropout,
      },
      sigmaData: settings["sigma-data"],
    }),
    noise: { mean: settings.P_mean, standardDeviation: settings.P_std },
    adam: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
    lossScaling: settings.ls,
    labelDropout: settings["label-dropout"],
    seed: settings.seed,
    batch: settings.batch,
    batchDevice: settings["batch-device"],
    learningRate: { reference: settings.lr, referenceBatches: settings.decay, rampUpMimg: settings.rampup },
    emaSigmaRels: settings.ema,
  };
}
