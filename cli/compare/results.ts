import type { FoundBest, Judgement, PairedInterval, PairedScale } from "../../diffusion/comparison/index.ts";
import type { MetricName } from "../../diffusion/metrics/index.ts";
import type { MeasuredRun } from "./measure.ts";
import type { SamplesPlan, SamplesSpace } from "./samples.ts";

/** A change beside the base. */
export type ComparedChange = Judgement & {
  readonly change: string;
  /** Seeds of its pairs. */
  readonly seeds: readonly number[];
  /** The same by noise level; each interval holds for its level alone. */
  readonly levels: readonly ({ readonly sigma: number } & Judgement)[];
  /** Metrics of generated images, if they were asked for; each interval holds for itself alone. */
  readonly metrics: readonly ComparedMetric[];
};

/** A metric of the images of both sides. */
export type ComparedMetric = PairedInterval & {
  readonly metric: MetricName;
  /** A ratio is below 1, and a difference below 0, where the change's values are lower. */
  readonly scale: PairedScale;
  /** Means over pairs; NaN without any. */
  readonly base: number;
  readonly changed: number;
  /** Pairs in which both sides have a finite value: one that diverges makes no images. */
  readonly pairs: number;
};

/** What metrics of generated images were made of. */
export type ResultsSamples = Pick<SamplesPlan, "metrics" | "images" | "steps"> & {
  /** Null until a pair is measured. */
  readonly space: SamplesSpace | null;
  readonly runs: readonly {
    readonly side: string;
    readonly seed: number;
    readonly values: Readonly<Partial<Record<MetricName, number | null>>>;
  }[];
};

/** The best value of a setting on one side, by runs of a seed that no pair has. */
export type Sweep = FoundBest & { readonly side: string; readonly setting: string };

/** `results.json` of a comparison's folder. */
export type ComparisonResults = {
  readonly format: "evenkeel-comparison";
  readonly version: 1;
  /** The command that made it. */
  readonly command: string;
  readonly date: string;
  readonly machine: string;
  readonly data: { readonly name: string; readonly trainingImages: number; readonly heldOutImages: number };
  /** The base as its settings say it. */
  readonly base: string;
  /** Images that each run of the base saw. */
  readonly duration: number;
  /** Length of the average that is measured, sigma_rel. */
  readonly length: number;
  /** Ratios within 1 + margin are no difference; all verdicts together hold with a probability of `level`. */
  readonly margin: number;
  readonly level: number;
  readonly changes: readonly ComparedChange[];
  /** Of each side, if a setting was swept. */
  readonly sweeps: readonly Sweep[];
  /** Null if no metrics of generated images were asked for. */
  readonly samples: ResultsSamples | null;
  /** Pair by pair: the base's run, then those of the changes. */
  readonly runs: readonly MeasuredRun[];
};
