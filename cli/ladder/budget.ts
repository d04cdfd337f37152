import { join } from "node:path";
import type { ConfigurationName } from "../../nn/index.ts";
import { keepPlan } from "../keepPlan.ts";
import type { SharedSettings } from "../runs/runSettings.ts";

/** What all runs of a ladder have in common: numbers of different budgets can't be compared. */
export type LadderBudget = SharedSettings & {
  readonly preset: string;
  readonly data: string;
  /** Images that each run sees. */
  readonly duration: number;
  /** Base width; null = the preset's. */
  readonly channels: number | null;
  readonly channelsPerHead: number | null;
  /** Learning rates that are not the preset's. */
  readonly rates: Partial<Record<ConfigurationName, number>>;
  /** sigma_rel of the sweep, rising. */
  readonly lengths: readonly number[];
  /** Shares of the duration at which to sweep, rising; the last is 1. */
  readonly times: readonly number[];
  /** Lengths that get a Fréchet distance: the best by error and those next to it. */
  readonly distanceLengths: number;
  /** Configurations whose groups of weights get lengths of their own. */
  readonly groups: readonly ConfigurationName[];
  readonly samples: number;
  readonly steps: number;
  readonly features: string;
};

/** Keeps the budget in the ladder's folder, or checks that it is the one kept there. @throws EvenkeelError as `keepPlan` */
export function keepBudget(outdir: string, budget: LadderBudget): Promise<void> {
  return keepPlan("ladder", join(outdir, "ladder.json"), budget);
}
