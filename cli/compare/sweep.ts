import { findBest } from "../../diffusion/comparison/index.ts";
import { trainSettings } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import type { Outcome } from "../runs/runs.ts";
import type { MeasuredRun } from "./measure.ts";
import type { Sweep } from "./results.ts";
import type { ComparedRun, Side } from "./sides.ts";

/** How far the seed of a sweep's runs is from the pairs': what is chosen by runs mustn't be judged by them. */
const seedsApart = 1_000_000;

/**
 * Checks that a setting can be swept on these sides.
 * @throws EvenkeelError `value` for what is no positive number on one of them, has to be whole, is the same for all, or is set by a change
 */
export function checkSweep(
  setting: string,
  sides: readonly Side[],
  settingsOf: (side: Side) => ComparedRun["settings"],
): void {
  if (fixed.has(setting)) {
    throw new EvenkeelError("value", `compare: --sweep ${setting}: that is the same for all runs of a comparison.`);
  }
  for (const side of sides) {
    if (side.change !== null && setting in side.change.values) {
      throw new EvenkeelError("value", `compare: --change "${side.name}" sets ${setting}, which --sweep looks for.`);
    }
    const values = Object.entries(settingsOf(side)).filter(
      ([name, value]) => typeof value === "number" && value > 0 && isGradual(name, value),
    );
    if (values.some(([name]) => name === setting)) continue;
    const names = values.flatMap(([name]) => (fixed.has(name) ? [] : [name]));
    throw new EvenkeelError(
      "value",
      `compare: --sweep ${setting}: ${side.name} has no positive number of this name that needn't be whole. What can be swept: ${names.join(", ")}.`,
    );
  }
}

/** Whether a setting takes numbers between its values, as a search makes them. */
function isGradual(setting: string, value: number): boolean {
  const near = 0.99 * value;
  const between = Number.isInteger(near) ? near - 0.25 : near;
  return trainSettings.partial().safeParse({ [setting]: between }).success;
}

/** Numbers that tell what is trained for, on or how long rather than how. */
const fixed: ReadonlySet<string> = new Set([
  ...[
    "seed",
    "holdout",
    "holdout-seed",
    "samples",
    "snapshot",
    "status",
    "checkpoint",
    "dynamics",
    "validation",
    "duration",
  ],
  ...["sample-ema", "guidance", "sigma-data", "noise-df"],
]);

/**
 * Looks for the best value of a setting on one side.
 * @param look trains and measures a run, or only looks it up
 * @returns why it isn't found if a run isn't there
 */
export async function sweepSide(
  side: Side,
  setting: string,
  firstSeed: number,
  runOf: (side: Side, seed: number) => ComparedRun,
  look: (run: ComparedRun) => Promise<Outcome<MeasuredRun>>,
  print: (line: string) => void,
): Promise<Sweep | "stopped" | "elsewhere"> {
  const seed = firstSeed + seedsApart;
  const start = new Map<string, unknown>(Object.entries(runOf(side, seed).settings)).get(setting);
  if (typeof start !== "number") throw new RangeError(`${setting} was checked`);
  let missing: "stopped" | "elsewhere" | undefined;
  const isMissing = new Error("a run isn't there");
  try {
    const found = await findBest(
      async (value) => {
        const outcome = await look(runOf({ ...side, tuned: { [setting]: value } }, seed));
        if (typeof outcome !== "string") return outcome.measured.error ?? Infinity;
        missing = outcome;
        throw isMissing;
      },
      start,
      {
        onWiden: (value) =>
          print(
            `[best ${setting}] ${side.name}: the best is the last one tried: ${value.toPrecision(3)} is tried, too`,
          ),
      },
    );
    print(sweepText({ ...found, side: side.name, setting }));
    if (found.error === Infinity) {
      throw new EvenkeelError(
        "diverged",
        `compare: ${side.name} has no finite error at any ${setting} from ${rangeText(found.tried)}. Begin elsewhere: --base "${setting}=..."`,
      );
    }
    return { ...found, side: side.name, setting };
  } catch (reason) {
    if (reason === isMissing && missing !== undefined) return missing;
    throw reason;
  }
}

/** What a sweep found, in a line. */
export function sweepText({ side, setting, best, tried, isBracketed }: Sweep): string {
  const end = isBracketed ? "" : "; it is at the end of what was tried, and a better one may lie beyond";
  return `Best ${setting} of ${side}: ${best}, of ${tried.length} from ${rangeText(tried)}${end}`;
}

function rangeText(tried: Sweep["tried"]): string {
  const values = tried.map(({ value }) => value);
  return `${Math.min(...values)} to ${Math.max(...values)}`;
}
