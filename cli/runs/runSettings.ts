import { presetOf } from "../../diffusion/presets/index.ts";
import {
  completeSettings,
  type OptionLayer,
  presetSettings,
  type TrainSettings,
} from "../../diffusion/settings/index.ts";

/** What all runs that are compared have in common. */
export type SharedSettings = {
  /** Images held out, the same in every run, and what chooses them. */
  readonly holdout: number;
  readonly holdoutSeed: number;
  /** Steps between looks into the network. */
  readonly dynamics: number;
};

/** Where a run reads, writes and computes. */
export type RunPlace = {
  readonly data: string;
  readonly outdir: string;
  readonly device?: string | undefined;
  readonly threads?: number | undefined;
};

/**
 * The settings of one of the runs, as `evenkeel train` takes them. What a preset states in steps of its own duration (decay, ramp) keeps its
 * share of a shorter one, unless it is set.
 * @param given what was asked for, the preset among it
 * @param snapshots stored averages over the run, as far as files can be named by thousands of images
 * @throws EvenkeelError `value` for settings that can't be together
 */
export function runSettings(
  given: OptionLayer,
  seed: number,
  shared: SharedSettings,
  place: RunPlace,
  snapshots: number,
): TrainSettings {
  const here = Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined));
  const { preset, duration, config } = completeSettings([given, { from: given.from, values: here }]);
  const own = presetSettings(preset, config);
  const share = duration / presetOf(preset).duration;
  const scaled = { decay: (own.decay ?? 0) * share, rampup: (own.rampup ?? 0) * share };
  const kept = {
    ...here,
    seed,
    holdout: shared.holdout,
    "holdout-seed": shared.holdoutSeed,
    samples: 0,
    snapshot: Math.max(1000, Math.round(duration / snapshots)),
    dynamics: shared.dynamics,
  };
  return completeSettings([{ from: given.from, values: scaled }, given, { from: given.from, values: kept }]);
}
