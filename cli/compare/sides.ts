import { join } from "node:path";
import { fileNameOf, type NamedRun } from "../runs/runs.ts";
import { type RunPlace, runSettings, type SharedSettings } from "../runs/runSettings.ts";
import type { Change } from "./changes.ts";

/** What all runs of a comparison have in common. */
export type ComparisonPlan = SharedSettings & {
  readonly data: string;
  /** Settings of the base, the preset among them. */
  readonly base: Readonly<Record<string, unknown>>;
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
export type ComparedRun = NamedRun & { readonly side: Side };

export const baseName = "base";

/** Stored averages over a run: one length is made of them, at its end. */
const snapshots = 8;

/** A run of one side with one seed, in the comparison's folder. @throws EvenkeelError `value` for settings that can't be together. */
export function runOfSide(side: Side, seed: number, plan: ComparisonPlan, { outdir, ...place }: RunPlace): ComparedRun {
  const tuned = Object.entries(side.tuned ?? {}).map(([setting, value]) => `${setting}=${value}`);
  const name = fileNameOf([side.name, ...tuned], seed);
  const given = {
    from: side.change === null ? "--base" : `--change "${side.name}"`,
    values: { ...plan.base, ...side.change?.values, ...side.tuned },
  };
  const settings = runSettings(given, seed, plan, { ...place, outdir: join(outdir, "runs", name) }, snapshots);
  return { side, name, settings };
}
