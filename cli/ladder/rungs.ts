import { join } from "node:path";
import { EvenkeelError } from "../../engine/index.ts";
import { type ConfigurationName, configurationNamed, configurationNames, parseSwitches } from "../../nn/index.ts";
import { fileNameOf, type NamedRun } from "../runs/runs.ts";
import { type RunPlace, runSettings } from "../runs/runSettings.ts";
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

/** Stored averages over a run: several lengths are made of them, at several times. */
const snapshots = 20;

/** A run of one rung. */
export type LadderRun = NamedRun & { readonly rung: Rung; readonly seed: number };

/** A rung's run with one seed, in the ladder's folder. @throws EvenkeelError `value` for settings that can't be together. */
export function runOfRung(rung: Rung, seed: number, budget: LadderBudget, { outdir, ...place }: RunPlace): LadderRun {
  const name = fileNameOf([rung.name], seed);
  const { preset, duration, channels, channelsPerHead } = budget;
  const values = {
    ...{ preset, config: rung.config, switches: rung.switches, duration },
    ...(channels === null ? {} : { channels }),
    ...(channelsPerHead === null ? {} : { "channels-per-head": channelsPerHead }),
    ...(budget.rates[rung.config] === undefined ? {} : { lr: budget.rates[rung.config] }),
  };
  const at = { ...place, outdir: join(outdir, "runs", name) };
  return {
    rung,
    seed,
    name,
    settings: runSettings({ from: `rung ${rung.name}`, values }, seed, budget, at, snapshots),
  };
}
