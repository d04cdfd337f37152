import type { ConfigurationName } from "../../nn/index.ts";
import type { PlaceCurves, RunCurve } from "../runs/curves.ts";

/** What an average of one length is worth. */
export type SweepPoint = {
  readonly sigmaRel: number;
  /** Mean weighted denoising error of the held-out images over the noise levels; smaller is better. */
  readonly error: number;
  /** Fréchet distance of samples to the images of the data; null where it wasn't measured. */
  readonly distance: number | null;
};

/** One rung of the ladder trained with one seed, and all that was measured of it. */
export type LadderEntry = {
  /** The rung: a configuration's letter, or letter and switches, as in `G:groupNorm=none`. */
  readonly name: string;
  readonly config: ConfigurationName;
  /** As `evenkeel train --switches` takes them; empty = none. */
  readonly switches: string;
  readonly seed: number;
  readonly parameters: number;
  /** Multiply-adds of an image. */
  readonly macs: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly trainingSeconds: number;
  /** The training loss as the configuration weights it, status by status. */
  readonly loss: RunCurve;
  /** Mean weighted denoising error of the held-out images with the shortest stored average, at the configuration's own noise levels. */
  readonly validation: RunCurve;
  /** Magnitudes at each place: the mean and the largest over its layers. */
  readonly activations: { readonly mean: PlaceCurves; readonly max: PlaceCurves };
  readonly weights: { readonly mean: PlaceCurves; readonly max: PlaceCurves };
  /** Effective learning rates: mean over the layers of each place. */
  readonly updates: PlaceCurves;
  /** Effective learning rate of each layer at the end of training, smallest to largest are to be compared. */
  readonly finalUpdates: readonly { readonly layer: string; readonly value: number | null }[];
  /** The sweep of lengths at several times of training; the last is of the whole run. */
  readonly sweeps: readonly { readonly nimg: number; readonly points: readonly SweepPoint[] }[];
  /** The best length at the end of training, by error, with its error and distance. */
  readonly best: SweepPoint;
  /** Sensitivity: one group of weights gets its own length, all others stay at the best one. Empty if it wasn't measured. */
  readonly groups: readonly {
    readonly group: string;
    readonly points: readonly { readonly sigmaRel: number; readonly error: number }[];
  }[];
  /** Samples with the best length, relative to the ladder's folder. */
  readonly samples: string;
};

/** `results.json` of a ladder's folder. */
export type LadderResults = {
  readonly format: "evenkeel-ladder";
  readonly version: 1;
  /** The command that made it. */
  readonly command: string;
  readonly date: string;
  readonly machine: string;
  readonly data: {
    readonly name: string;
    readonly trainingImages: number;
    readonly heldOutImages: number;
    readonly resolution: number;
    readonly channels: number;
    readonly classes: number;
  };
  readonly preset: string;
  /** Images that each run saw. */
  readonly duration: number;
  readonly seeds: readonly number[];
  /** Space of the Fréchet distance, samples behind each, and steps of the sampler. */
  readonly metric: {
    readonly features: string;
    readonly samples: number;
    readonly steps: number;
    /** Distance of as many images of the data to the others of them: what a perfect model would have. Null if there are too few. */
    readonly floor: number | null;
  };
  /** Rung by rung in the order asked for, seeds within. Only what is finished. */
  readonly entries: readonly LadderEntry[];
};
