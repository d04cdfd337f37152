/** Runs as their folders tell them. */
import { newestCheckpoint } from "../../diffusion/checkpoint/index.ts";
import { dynamicsFileName, readDynamicsFile } from "../../diffusion/dynamics/index.ts";
import { readStats, type StatsEntry, statsFileName } from "../../diffusion/run/index.ts";
import {
  completePlan,
  formatSettings,
  parseSettings,
  type PlannedSettings,
  settingsFileName,
} from "../../diffusion/settings/index.ts";
import { messageOf } from "../../engine/index.ts";
import { type Folder, readTextIfAny, readWhole, writeText } from "../../engine/io/index.ts";
import type { StatusPoint, StoredRun, StoredRuns } from "./messages.ts";
import { removeRunFolder, runFolder, runNames, takeRunName, withRun } from "./storage.ts";
import { filesOf, whileWritten } from "./whileWritten.ts";

/** All runs that have settings; a folder without them has nothing to go on from. One that can't be read doesn't hide the others. */
export async function storedRuns(): Promise<StoredRuns> {
  const runs: StoredRun[] = [];
  const problems: StoredRuns["problems"][number][] = [];
  for (const name of await runNames()) {
    try {
      const folder = await runFolder(name);
      if (await folder.file(settingsFileName).exists()) runs.push(await whileWritten(() => describe(name, folder)));
    } catch (reason) {
      problems.push({ run: name, what: `The run ${name} can't be read: ${messageOf(reason)}` });
    }
  }
  return { runs, problems };
}

/** Keeps the settings of a run that is to begin, so that it is there if the page is closed before its first checkpoint. Gives its name. */
export async function createRun(wanted: string, settings: PlannedSettings): Promise<string> {
  const name = await takeRunName(wanted);
  const folder = await runFolder(name);
  await writeText(folder.file(settingsFileName), formatSettings({ ...settings, outdir: `runs/${name}` }));
  return name;
}

/** @throws EvenkeelError `file` if there is none. */
export async function storedRun(name: string): Promise<StoredRun> {
  const folder = await runFolder(name);
  return whileWritten(() => describe(name, folder));
}

async function describe(name: string, folder: Folder): Promise<StoredRun> {
  const text = (await readTextIfAny(folder.file(settingsFileName))) ?? "";
  const settings = completePlan([
    { from: settingsFileName, values: parseSettings(text, `${name}/${settingsFileName}`) },
  ]);
  const files = await filesOf(folder);
  return {
    name,
    settings,
    checkpoint: await newestCheckpoint(folder),
    points: (await readStats(folder.file(statsFileName))).map(pointOf),
    dynamics: await readDynamicsFile(folder.file(dynamicsFileName)),
    grids: files.flatMap((file) => {
      const match = /^samples-(\d{10})\.png$/.exec(file.name);
      return match === null ? [] : [Number(match[1])];
    }),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** A line of a run's log, as far as the page draws it. */
export function pointOf(entry: StatsEntry): StatusPoint {
  return {
    nimg: entry.nimg,
    error: numberOf(entry, "Loss/error"),
    loss: numberOf(entry, "Loss/loss"),
    gradientNorm: numberOf(entry, "Loss/gradient_norm"),
    learningRate: numberOf(entry, "Loss/learning_rate"),
    seconds: numberOf(entry, "Timing/total_sec") ?? 0,
  };
}

/** A number, or the mean of what was gathered. */
function numberOf(entry: StatsEntry, name: string): number | null {
  const value = entry[name];
  if (typeof value === "number") return value;
  return value === undefined || value === null ? null : (value["mean"] ?? null);
}

/** A file of a run, for the page to show or to save. */
export async function runFile(run: string, file: string): Promise<Blob> {
  const stored = (await runFolder(run)).file(file);
  return new Blob([await whileWritten(() => readWhole(stored))]);
}

/** Removes a run with all its files. @throws EvenkeelError `file` if something has it. */
export async function removeRun(name: string): Promise<void> {
  await withRun(name, () => removeRunFolder(name));
}
