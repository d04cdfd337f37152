import * as z from "zod";
import { attentionResolutions, presetOf, presets, trainingRecipe } from "../presets/index.ts";
import { noiseKinds, predictionTargets } from "../network/index.ts";
import {
  activationFormats,
  type ConfigurationName,
  configurationNames,
  hyperballGranularities,
  optimizerNames,
  rateSchedules,
} from "../../nn/index.ts";

/**
 * Every setting of `evenkeel train`, under its published name where it has one. A preset gives defaults, a config file overrides
 * them, flags override both; the result is saved in the run folder, where it is a config file itself.
 */
export const trainSettings = z.strictObject({
  outdir: z.string(),
  data: z.string(),
  preset: z.enum(Object.keys(presets) as [string, ...string[]]),
  /** Configuration of the ladder. */
  config: z.enum(configurationNames),
  /** What is turned in it, as `name=value,name=value`; empty = nothing. */
  switches: z.string(),
  /** Default: if the data have labels. */
  cond: z.boolean().optional(),
  /** A network's file, or the folder of a finished run, whose weights a new run begins with. Default: they are drawn. */
  from: z.string().optional(),
  /** What a trained network is tuned to, in the place of denoising. */
  tune: z.enum(["consistency"]).optional(),
  /** Images of a stage of the tuning. Default with `tune`: an eighth of the duration. */
  "tune-stage": z.number().int().positive().optional(),
  /** By how much the noise levels of the tuning come nearer to each other in a stage. Default with `tune`: 2. */
  "tune-factor": z.number().gt(1).optional(),
  duration: z.number().int().positive(),
  batch: z.number().int().positive(),
  "batch-device": z.number().int().positive(),
  channels: z.number().int().positive(),
  "channel-mult": z.array(z.number().positive()).min(1),
  blocks: z.number().int().positive(),
  "attn-resolutions": z.array(z.number().int().positive()),
  "channels-per-head": z.number().int().positive(),
  dropout: z.number().min(0).lt(1),
  activations: z.enum(activationFormats),
  P_mean: z.number(),
  P_std: z.number().positive(),
  /** Where noise levels come from; with the losses' own P_mean and P_std say where the run is validated. */
  noise: z.enum(noiseKinds),
  /** Degrees of freedom of Student-t noise; 0 = infinitely many: Gaussian noise. */
  "noise-df": z.number().refine((df) => df === 0 || df > 2, "expected a number above 2, or 0 (inf) for Gaussian noise"),
  /** What the raw network predicts. */
  target: z.enum(predictionTargets),
  "sigma-data": z.number().positive(),
  lr: z.number().positive(),
  decay: z.number().min(0),
  /** How the rate goes over the run; `decay` is for the first. */
  schedule: z.enum(rateSchedules),
  rampup: z.number().min(0),
  ls: z.number().positive(),
  /** Default: adam. */
  optimizer: z.enum(optimizerNames).optional(),
  /** Share of the velocity that is kept. Default: the optimizer's. */
  momentum: z.number().min(0).lt(1).optional(),
  /** What has a fixed norm. Default: nothing but what the configuration normalizes. */
  hyperball: z.enum(["off", ...hyperballGranularities]).optional(),
  /** Rate of magnitudes, as a share of that of directions. Default: they are moved together. */
  "magnitude-rate": z.number().min(0).optional(),
  ema: z.array(z.number().gt(0).lt(0.2886)).min(1),
  "label-dropout": z.number().min(0).max(1),
  xflip: z.boolean(),
  holdout: z.number().int().min(0),
  /** Chooses the images that are held out. Default: the seed. */
  "holdout-seed": z.number().int().min(0).optional(),
  status: z.number().int().min(0),
  snapshot: z
    .number()
    .int()
    .refine((n) => n === 0 || n >= 1000, "expected 0, or at least 1000: files are named by thousands"),
  checkpoint: z.number().int().min(0),
  samples: z.number().int().min(0),
  validation: z.number().int().min(0),
  dynamics: z.number().int().min(0),
  "snapshot-dtype": z.enum(["F16", "F32"]),
  "sample-ema": z.number().gt(0).lt(0.2886),
  guidance: z.number(),
  seed: z.number().int().min(0),
  /** Default: EVENKEEL_DEVICE, else `wasm`. */
  device: z.enum(["auto", "oracle", "wasm", "cpu", "webgpu", "webgl2"]).optional(),
  /** Default: all cores. */
  threads: z.number().int().positive().optional(),
  /** File of tiles. Default: none are timed. */
  autotune: z.string().optional(),
  deterministic: z.boolean(),
});

/** Complete settings of a run. */
export type TrainSettings = z.infer<typeof trainSettings>;

/** Settings of a run that needn't have a folder yet. */
export const plannedSettings = trainSettings.partial({ outdir: true });

/** Settings of a run whose folder may be left out. */
export type PlannedSettings = z.infer<typeof plannedSettings>;

/**
 * What a preset says for a configuration, as settings; intervals and the like follow from its duration.
 * @example console.log(presetSettings("emoji16").channels); // 32
 */
export function presetSettings(name: string, config: ConfigurationName = "G"): Partial<TrainSettings> {
  const preset = presetOf(name);
  const { unet = {}, data } = preset;
  const recipe = trainingRecipe(config, preset);
  const attention = attentionResolutions(config, unet.attnResolutions ?? [16, 8], data.imageResolution);
  return {
    duration: preset.duration,
    batch: recipe.batch,
    channels: preset.channels,
    ...(unet.channelMult === undefined ? {} : { "channel-mult": [...unet.channelMult] }),
    ...(unet.numBlocks === undefined ? {} : { blocks: unet.numBlocks }),
    "attn-resolutions": [...attention],
    ...(unet.channelsPerHead === undefined ? {} : { "channels-per-head": unet.channelsPerHead }),
    dropout: recipe.dropout,
    P_mean: recipe.noise.mean,
    P_std: recipe.noise.standardDeviation,
    lr: recipe.learningRate.reference,
    decay: recipe.learningRate.referenceBatches,
    rampup: recipe.learningRate.rampUpMimg,
    ls: recipe.lossScaling,
    ema: [...preset.ema],
    "sample-ema": preset.sampleEma,
  };
}

/**
 * What a tuning says beside the preset: a quarter of its images, a tenth of its rate, no guidance of the last grid; eight stages, whose
 * levels come nearer by a factor of 2; noise levels as ECT has them for small images.
 * @param duration images of the run, where they are given.
 * @example console.log(tuningSettings("emoji16").lr, tuningSettings("emoji16")["tune-stage"]); // 0.002 4375
 */
export function tuningSettings(
  name: string,
  config: ConfigurationName = "G",
  duration?: number,
): Partial<TrainSettings> {
  const { duration: ofPreset, lr } = { duration: 0, lr: 0, ...presetSettings(name, config) };
  const images = duration ?? Math.ceil(ofPreset / 4);
  return {
    duration: images,
    lr: lr / 10,
    P_mean: -1.1,
    P_std: 2,
    guidance: 1,
    "tune-stage": Math.ceil(images / 8),
    "tune-factor": 2,
  };
}

/**
 * Settings that no preset gives. Intervals of a run that says nothing: forty status lines, 16 snapshots, 8 checkpoints and grids.
 * @example
 * ```ts
 * const { status, snapshot } = defaultSettings(100_000, 32);
 * console.log(status, snapshot); // 2500 6250
 * ```
 */
export function defaultSettings(duration: number, batch: number): Partial<TrainSettings> {
  const every = (share: number): number => Math.max(batch, Math.round(duration / share));
  return {
    config: "G",
    switches: "",
    "batch-device": batch,
    "channel-mult": [1, 2, 3, 4],
    blocks: 3,
    "channels-per-head": 64,
    activations: "float32",
    "sigma-data": 0.5,
    noise: "lognormal",
    "noise-df": 0,
    target: "v",
    schedule: "inverse-sqrt",
    "label-dropout": 0,
    xflip: false,
    holdout: 0,
    status: every(40),
    // Files are named by thousands of images.
    snapshot: Math.max(1000, every(16)),
    checkpoint: every(8),
    // A grid is as much work as some 800 images of training.
    samples: Math.max(1000, every(8)),
    validation: every(8),
    dynamics: 0,
    "snapshot-dtype": "F16",
    guidance: 1.8,
    seed: 0,
    deterministic: false,
  };
}
