import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "smol-toml";

import { parseToml } from "../../diffusion/run/node.ts";
import { presetNetwork, presetOf } from "../../diffusion/presets/index.ts";
import { EvenkeelError, messageOf } from "../../engine/index.ts";
import { fileSystemError } from "../../engine/io/node.ts";
import { parseSwitches } from "../../nn/index.ts";
import { exists } from "../exists.ts";
import { parseImages } from "../imageCount.ts";
import { mergeOptions, type OptionLayer } from "../mergeOptions.ts";
import {
  defaultSettings,
  plannedSettings,
  type PlannedSettings,
  presetSettings,
  type TrainSettings,
  trainSettings,
} from "./settings.ts";

/** Flags as commander gives them: names in camelCase. */
export type TrainFlags = Readonly<Record<string, unknown>>;

/** Settings that count images may be written as `"8Mi"` in a file. */
const imageSettings = [
  "duration",
  "batch",
  "batch-device",
  "holdout",
  "status",
  "snapshot",
  "checkpoint",
  "samples",
  "validation",
];

/**
 * Complete settings: defaults, then the preset's, then the file's, then the flags'. Without a preset or a file they are those of the run
 * that the folder holds.
 * @throws EvenkeelError `value` that names the setting, where it is from, what it is and what was expected, or why switches can't be;
 * `file` for a file that can't be read.
 */
export async function mergeSettings(flags: TrainFlags, file: string | undefined): Promise<TrainSettings> {
  return withNetwork(mergeOptions(trainSettings, await layersOf(flags, file)));
}

/** The same where nothing is to be written: they needn't have a folder. @throws EvenkeelError as `mergeSettings`. */
export async function planSettings(flags: TrainFlags, file: string | undefined): Promise<PlannedSettings> {
  return withNetwork(mergeOptions(plannedSettings, await layersOf(flags, file)));
}

/** Where settings are from, the weakest first. */
async function layersOf(flags: TrainFlags, file: string | undefined): Promise<readonly OptionLayer[]> {
  const configFile = file ?? (flags["preset"] === undefined ? await settingsOfRun(flags["outdir"]) : undefined);
  const given: OptionLayer[] = [
    ...(configFile === undefined ? [] : [{ from: configFile, values: await readSettings(configFile) }]),
    { from: "train", values: settingsOfFlags(flags), label: (name) => `--${name}` },
  ];
  // Checked before anything is made of it; what is missing in these may be in the preset.
  const chosen = mergeOptions(trainSettings.partial(), given);
  if (chosen.preset === undefined) {
    throw new EvenkeelError(
      "value",
      "train: no preset. Choose one by --preset; `npx evenkeel train --help` lists them.",
    );
  }
  requireOne("config", "configuration", given);
  requireOne("preset", "preset", given);
  const preset = presetSettings(chosen.preset, chosen.config);
  const { duration = 0, batch = 0 } = { ...preset, ...chosen };
  return [
    { from: "the defaults", values: defaultSettings(duration, batch) },
    { from: `the preset ${chosen.preset}`, values: preset },
    ...given,
  ];
}

/** Data are read, and some converted, before the network is made of them: switches that can't be are told before that. */
function withNetwork<Settings extends PlannedSettings>(settings: Settings): Settings {
  presetNetwork(settings.config, presetOf(settings.preset), undefined, parseSwitches(settings.switches));
  return settings;
}

/**
 * A file that says its configuration or preset has that one's learning rate and the like, too.
 * @throws EvenkeelError `value` if a flag has another.
 */
function requireOne(setting: "config" | "preset", what: string, given: readonly OptionLayer[]): void {
  const [first, second] = given.filter(({ values }) => values[setting] !== undefined);
  if (first === undefined || second === undefined || first.values[setting] === second.values[setting]) return;
  throw new EvenkeelError(
    "value",
    `train: ${first.from} holds settings for ${what} ${String(first.values[setting])}, not for ` +
      `${String(second.values[setting])}. Begin from the preset instead: leave the file out.`,
  );
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
  const file = join(folder, "settings.toml");
  return (await exists(file)) ? file : undefined;
}

async function readSettings(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw fileSystemError(path, "reading the settings", cause);
  });
  const settings = parseToml(text, path);
  for (const name of imageSettings) {
    const value = settings[name];
    if (typeof value === "string") settings[name] = parseSetting(path, name, value);
  }
  return settings;
}

function parseSetting(path: string, name: string, text: string): number {
  try {
    return parseImages(text);
  } catch (cause) {
    throw new EvenkeelError("value", `${path}: ${name}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Settings as a config file. */
export function formatSettings(settings: PlannedSettings): string {
  return `${stringify(settings)}\n`;
}
