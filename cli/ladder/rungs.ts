import { presetOf } from "../../diffusion/presets/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { type ConfigurationName, configurationNamed, configurationNames, parseSwitches } from "../../nn/index.ts";
import { mergeSettings } from "../train/merge.ts";
import { presetSettings, type TrainSettings } from "../../diffusion/settings/index.ts";
import type { LadderBudget } from "./budget.ts";

/** What is compared: a configuration, and what is turned in it. */
export type Rung = {
  /** As it was asked for: `G`, or `G:pixelNorm=false+gains=false`. */
  readonly name: string;
  readonly config: ConfigurationName;
  /** As `evenkeel train --switches` takes them; empty = none. */
  readonly switches: string;
};

/**
 * The rungs of a list: letters with commas between them, `all` for A to G; switches follow a colon, with `+` between them.
 * @throws EvenkeelError `value` for an unknown configuration or switch, or a rung named twice.
 */
export function parseRungs(text: string): Rung[] {
  const names = text === "all" ? [...configurationNames] : text.split(",").map((part) => part.trim());
  const rungs = names.map((name): Rung => {
    const [letter = "", ...rest] = name.split(":");
    const switches = rest.join(":").replaceAll("+", ",");
    parseSwitches(switches);
    return { name, config: configurationNamed(letter), switches };
  });
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new EvenkeelError("value", `ladder: the rung ${twice} is listed twice.`);
  return rungs;
}

/**
 * Learning rates by configuration: `A=0.0003,G=0.02`.
 * @throws EvenkeelError `value` for anything else.
 */
export function parseRates(text: string): Partial<Record<ConfigurationName, number>> {
  const given = text.split(",").map((part): readonly [ConfigurationName, number] => {
    const [letter = "", rate = ""] = part.split("=").map((each) => each.trim());
    const value = Number(rate);
    if (rate === "" || !(value > 0) || !Number.isFinite(value)) {
      throw new EvenkeelError("value", `ladder: "${part}" is no learning rate; expected one like A=0.0003,G=0.02.`);
    }
    return [configurationNamed(letter), value];
  });
  const rates = Object.fromEntries(given);
  if (Object.keys(rates).length !== given.length) {
    throw new EvenkeelError("value", `ladder: "${text}" gives a configuration two learning rates.`);
  }
  // In the order of the ladder: the same rates are the same budget however they are listed.
  return Object.fromEntries(
    configurationNames.flatMap((name) => (rates[name] === undefined ? [] : [[name, rates[name]]])),
  );
}

/** The folder of a run within the ladder's. */
export function runName({ name }: Rung, seed: number): string {
  return `${name.replaceAll(/[^A-Za-z0-9.=+-]/g, "-")}-seed${seed}`;
}

/** Stored averages over a run, whatever its length, as far as files can be named by thousands of images. */
const snapshots = 20;

/**
 * The settings of one run, as `evenkeel train` takes them. What a preset states in steps of its own duration (decay, ramp) keeps its
 * share of a shorter one.
 */
export async function runSettings(
  rung: Rung,
  seed: number,
  budget: LadderBudget,
  place: {
    readonly data: string;
    readonly outdir: string;
    readonly device?: string | undefined;
    readonly threads?: number | undefined;
  },
): Promise<TrainSettings> {
  const { preset, duration } = budget;
  const own = presetSettings(preset, rung.config);
  const share = duration / presetOf(preset).duration;
  const rate = budget.rates[rung.config];
  return mergeSettings(
    {
      preset,
      config: rung.config,
      switches: rung.switches,
      data: place.data,
      outdir: place.outdir,
      device: place.device,
      threads: place.threads,
      duration,
      channels: budget.channels ?? undefined,
      channelsPerHead: budget.channelsPerHead ?? undefined,
      lr: rate,
      decay: (own.decay ?? 0) * share,
      rampup: (own.rampup ?? 0) * share,
      holdout: budget.holdout,
      holdoutSeed: budget.holdoutSeed,
      seed,
      samples: 0,
      snapshot: Math.max(1000, Math.round(duration / snapshots)),
      dynamics: budget.dynamics,
    },
    undefined,
  );
}
