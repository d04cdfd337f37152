import type { FoundBest, Judgement } from "../../diffusion/comparison/index.ts";
import type { MeasuredRun } from "./measure.ts";

/** A change beside the base. */
export type ComparedChange = Judgement & {
  readonly change: string;
  /** Seeds of its pairs. */
  readonly seeds: readonly number[];
  /** The same by noise level; each interval holds for its level alone. */
  readonly levels: readonly ({ readonly sigma: number } & Judgement)[];
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
  /** Pair by pair: the base's run, then those of the changes. */
  readonly runs: readonly MeasuredRun[];
};
