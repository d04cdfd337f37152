import { configurationNetwork, presetOf, trainingRecipe } from "../presets/index.ts";
import { isLatent, labelDimOf, type TrainingDataset } from "../data/index.ts";
import type { ConsistencyTuning } from "../network/index.ts";
import type { TrainingOptions } from "../training/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { needsEnd, parseSwitches } from "../../nn/index.ts";
import type { PlannedSettings } from "./settings.ts";

/**
 * Settings of a run, with the data's sizes, as the trainer takes them.
 * @throws EvenkeelError `value` for labels that are asked for and aren't there, or a network that can't be.
 * @example
 * ```ts
 * import { createDataset } from "evenkeel/diffusion";
 *
 * const dataset = createDataset({ name: "black", channels: 1, resolution: 4, pixels: new Uint8Array(16) });
 * const settings = completePlan([{ from: "here", values: { preset: "smoke", data: "black" } }]);
 * const { network, batch } = trainingOptions(settings, dataset);
 * console.log(network.unet.imageResolution, batch); // 4 16
 * ```
 */
export function trainingOptions(settings: PlannedSettings, dataset: TrainingDataset): TrainingOptions {
  if (settings.cond === true && dataset.labels === null) {
    throw new EvenkeelError(
      "value",
      `train: cond is true, but ${settings.data} has no labels. Leave it out, or give the images labels: by folders, when the data set is ` +
        "made, or by its dataset.json.",
    );
  }
  if (isLatent(dataset) && settings.xflip) {
    throw new EvenkeelError(
      "value",
      `train: xflip with the latents of ${settings.data}: mirrored latents aren't those of mirrored pictures. Leave it out, or ` +
        "encode mirrored pictures as well.",
    );
  }
  return {
    network: configurationNetwork(
      settings.config,
      {
        imageResolution: dataset.resolution,
        imageChannels: dataset.channels,
        labelDim: settings.cond === false ? 0 : labelDimOf(dataset),
        modelChannels: settings.channels,
        channelMult: settings["channel-mult"],
        numBlocks: settings.blocks,
        attnResolutions: settings["attn-resolutions"],
        channelsPerHead: settings["channels-per-head"],
        dropout: settings.dropout,
        activations: settings.activations,
        ...parseSwitches(settings.switches),
      },
      { sigmaData: settings["sigma-data"], target: settings.target, noiseDf: settings["noise-df"] },
    ),
    noise: {
      mean: settings.P_mean,
      standardDeviation: settings.P_std,
      ...(settings.noise === "lognormal" ? {} : { kind: settings.noise }),
    },
    adam: trainingRecipe(settings.config, presetOf(settings.preset)).adam,
    ...optimizerOf(settings),
    lossScaling: settings.ls,
    labelDropout: settings["label-dropout"],
    seed: settings.seed,
    batch: settings.batch,
    batchDevice: settings["batch-device"],
    learningRate: {
      reference: settings.lr,
      referenceBatches: settings.decay,
      rampUpMimg: settings.rampup,
      // Nothing more by default, so that checkpoints of before are gone on from.
      ...(settings.schedule === "inverse-sqrt" ? {} : { schedule: settings.schedule }),
      ...(needsEnd(settings.schedule) ? { duration: settings.duration } : {}),
    },
    emaSigmaRels: settings.ema,
    ...(settings.tune === undefined ? {} : { consistency: consistencyOf(settings) }),
  };
}

/** The optimizer, if it isn't Adam alone. */
function optimizerOf(settings: PlannedSettings): Pick<TrainingOptions, "optimizer"> {
  const { optimizer: name, momentum, "magnitude-rate": magnitudeRate } = settings;
  const hyperball = settings.hyperball === "off" ? undefined : settings.hyperball;
  const isPlain = (name ?? "adam") === "adam" && momentum === undefined;
  if (isPlain && hyperball === undefined && magnitudeRate === undefined) return {};
  return {
    optimizer: {
      name: name ?? "adam",
      ...(momentum === undefined ? {} : { momentum }),
      ...(hyperball === undefined ? {} : { hyperball }),
      ...(magnitudeRate === undefined ? {} : { magnitudeRate }),
    },
  };
}

/** @throws EvenkeelError `value` for settings that weren't completed. */
function consistencyOf({ "tune-stage": stage, "tune-factor": factor }: PlannedSettings): ConsistencyTuning {
  if (stage === undefined || factor === undefined) {
    throw new EvenkeelError("value", "train: a tuning needs tune-stage and tune-factor; complete the settings first.");
  }
  return { stage, factor };
}
