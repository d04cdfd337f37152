import { readFile } from "node:fs/promises";
import { parse, stringify } from "smol-toml";

import { EvenkeelError } from "../../engine/index.ts";
import { parseImages } from "../imageCount.ts";
import { defaultSettings, presetSettings, type TrainSettings, trainSettings } from "./settings.ts";

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
 * Complete settings: defaults, then the preset's, then the file's, then the flags'.
 * @throws EvenkeelError `value` that names the setting, what it is and what was expected; `file` for a file that can't be read.
 */
export async function mergeSettings(flags: TrainFlags, configFile: string | undefined): Promise<TrainSettings> {
  const given = settingsOfFlags(flags);
  const fromFile = configFile === undefined ? {} : await readSettings(configFile);
  const chosen: Record<string, unknown> = { ...fromFile, ...given };
  const preset = chosen["preset"];
  if (typeof preset !== "string") {
    throw new EvenkeelError("value", "train: no preset. Choose one by --preset; `evenkeel train --help` lists them.");
  }
  const base = { ...presetSettings(preset), ...chosen };
  const merged = { ...defaultSettings(Number(base["duration"]), Number(base["batch"])), ...base };
  return checkSettings(merged, configFile === undefined ? "train" : `train (${configFile} and flags)`);
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

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

async function readSettings(path: string): Promise<Record<string, unknown>> {
  let settings: Record<string, unknown>;
  try {
    settings = parse(await readFile(path, "utf8"));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EvenkeelError("file", `can't read the settings in ${path}: ${reason}`, { cause });
  }
  for (const name of imageSettings) {
    const value = settings[name];
    if (typeof value === "string") settings[name] = parseImages(value);
  }
  return settings;
}

function checkSettings(settings: Record<string, unknown>, where: string): TrainSettings {
  const checked = trainSettings.safeParse(settings);
  if (checked.success) return checked.data;
  const problems = checked.error.issues.map((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => `${key} is no setting${suggestion(key)}`).join("; ");
    }
    const name = issue.path.join(".");
    return `${name} is ${JSON.stringify(settings[String(issue.path[0])])}: ${issue.message}`;
  });
  throw new EvenkeelError("value", `${where}: ${problems.join("; ")}.`);
}

/** The known setting that takes the fewest changes, if it takes few. */
function suggestion(key: string): string {
  const [best] = Object.keys(trainSettings.shape)
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= 3 ? `; did you mean ${best.name}?` : "";
}

/** Insertions, deletions and replacements from one word to another (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Settings as a config file. */
export function formatSettings(settings: TrainSettings): string {
  return `${stringify(settings)}\n`;
}
