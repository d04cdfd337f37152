import { presetOf } from "../../diffusion/presets/index.ts";
import { completeSettings, presetSettings, type TrainSettings } from "../../diffusion/settings/index.ts";
import type { ConfigurationName } from "../../nn/index.ts";
import type { Change } from "./changes.ts";

/** What all runs of a comparison have in common. */
export type ComparisonPlan = {
  readonly data: string;
  /** Settings of the base, the preset among them. */
  readonly base: Readonly<Record<string, unknown>>;
  /** Images held out, the same in every run. */
  readonly holdout: number;
  readonly holdoutSeed: number;
  /** Steps between looks into the network. */
  readonly dynamics: number;
  /** Length of the average that is measured, sigma_rel. */
  readonly length: number;
  /** The setting whose best value is looked for on each side first. */
  readonly sweep: string | null;
};

/** The base, or a change of it. */
export type Side = {
  readonly name: string;
  readonly change: Change | null;
  /** What a sweep found, or tries. */
  readonly tuned?: Readonly<Record<string, number>>;
};

/** A run of one side. */
export type Run = { readonly side: Side; readonly seed: number; readonly settings: TrainSettings };

export const baseName = "base";

/** The folder of a run within the comparison's. */
export function runName({ name, tuned = {} }: Side, seed: number): string {
  const parts = [name, ...Object.entries(tuned).map(([setting, value]) => `${setting}=${value}`), `seed${seed}`];
  return parts.map((part) => part.replaceAll(/[^A-Za-z0-9.=+-]/g, "-")).join("-");
}

/** Stored averages over a run, as far as files can be named by thousands of images. */
const snapshots = 8;

/**
 * The settings of one run, as `evenkeel train` takes them. What a preset states in steps of its own duration (decay, ramp) keeps its share
 * of a shorter one, unless it is set.
 * @throws EvenkeelError `value` for settings that can't be together
 */
export function sideSettings(
  side: Side,
  seed: number,
  plan: ComparisonPlan,
  place: { readonly data: string; readonly outdir: string; readonly device: string | undefined },
): TrainSettings {
  const values = { ...plan.base, ...side.change?.values, ...side.tuned };
  const { preset, duration } = completeSettings([{ from: "compare", values: { ...values, ...place } }]);
  const own = presetSettings(preset, (values["config"] ?? "G") as ConfigurationName);
  const share = duration / presetOf(preset).duration;
  const scaled = { decay: (own.decay ?? 0) * share, rampup: (own.rampup ?? 0) * share };
  const kept = {
    ...place,
    seed,
    holdout: plan.holdout,
    "holdout-seed": plan.holdoutSeed,
    samples: 0,
    snapshot: Math.max(1000, Math.round(duration / snapshots)),
    dynamics: plan.dynamics,
  };
  return completeSettings([
    { from: "compare", values: scaled },
    { from: side.change === null ? "--base" : `--change "${side.name}"`, values },
    { from: "compare", values: kept },
  ]);
}
