import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  completePlan,
  completeSettings,
  type OptionLayer,
  parseSettings,
  settingsFileName,
  type PlannedSettings,
  type TrainSettings,
  trainSettings,
} from "../../diffusion/settings/index.ts";
import { fileSystemError } from "../../engine/io/node.ts";
import { exists } from "../exists.ts";

/** Flags as commander gives them: names in camelCase. */
export type TrainFlags = Readonly<Record<string, unknown>>;

/**
 * Complete settings: defaults, then the preset's, then the file's, then the flags'. Without a preset or a file they are those of the run
 * that the folder holds.
 * @throws EvenkeelError `value` that names the setting, where it is from, what it is and what was expected, or why switches can't be;
 * `file` for a file that can't be read.
 */
export async function mergeSettings(flags: TrainFlags, file: string | undefined): Promise<TrainSettings> {
  return completeSettings(await layersOf(flags, file));
}

/** The same where nothing is to be written: they needn't have a folder. @throws EvenkeelError as `mergeSettings`. */
export async function planSettings(flags: TrainFlags, file: string | undefined): Promise<PlannedSettings> {
  return completePlan(await layersOf(flags, file));
}

/** What settings are given by, the weakest first. */
async function layersOf(flags: TrainFlags, file: string | undefined): Promise<readonly OptionLayer[]> {
  const configFile = file ?? (flags["preset"] === undefined ? await settingsOfRun(flags["outdir"]) : undefined);
  const given: OptionLayer[] = [
    ...(configFile === undefined ? [] : [{ from: configFile, values: await readSettings(configFile) }]),
    { from: "train", values: settingsOfFlags(flags), label: (name) => `--${name}` },
  ];
  return given;
}

/** `batchDevice` to `batch-device`; `P_mean` stays. Absent flags are left out. */
function settingsOfFlags(flags: TrainFlags): Record<string, unknown> {
  const names = new Map(Object.keys(trainSettings.shape).map((name) => [camelCase(name), name]));
  return Object.fromEntries(
    Object.entries(flags)
      .filter(([, value]) => value !== undefined)
      .map(([flag, value]) => [names.get(flag) ?? flag, value]),
  );
}

/** The settings that flags give, by name. */
export function givenSettings(flags: TrainFlags): ReadonlySet<string> {
  return new Set(Object.keys(settingsOfFlags(flags)));
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The file of settings in the folder of a run; none if there is no run. */
async function settingsOfRun(folder: unknown): Promise<string | undefined> {
  if (typeof folder !== "string") return undefined;
  const file = join(folder, settingsFileName);
  return (await exists(file)) ? file : undefined;
}

async function readSettings(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw fileSystemError(path, "reading the settings", cause);
  });
  return parseSettings(text, path);
}
