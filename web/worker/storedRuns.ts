/** Runs as their folders tell them. */
import { newestCheckpoint } from "../../diffusion/checkpoint/index.ts";
import { dynamicsFileName, readDynamicsFile } from "../../diffusion/dynamics/index.ts";
import { readStats, type StatsEntry, statsFileName } from "../../diffusion/run/index.ts";
import { completePlan, parseSettings, settingsFileName } from "../../diffusion/settings/index.ts";
import { type Folder, readTextIfAny, readWhole } from "../../engine/io/index.ts";
import type { StatusPoint, StoredRun } from "./messages.ts";
import { removeRunFolder, runFolder, runNames, withRun } from "./storage.ts";

/** All runs that have settings; a folder without them has nothing to go on from. */
export async function storedRuns(): Promise<readonly StoredRun[]> {
  const runs: StoredRun[] = [];
  for (const name of await runNames()) {
    const folder = await runFolder(name);
    if (await folder.file(settingsFileName).exists()) runs.push(await describe(name, folder));
  }
  return runs;
}

/** @throws EvenkeelError `file` if there is none. */
export async function storedRun(name: string): Promise<StoredRun> {
  return describe(name, await runFolder(name));
}

async function describe(name: string, folder: Folder): Promise<StoredRun> {
  const text = (await readTextIfAny(folder.file(settingsFileName))) ?? "";
  const settings = completePlan([
    { from: settingsFileName, values: parseSettings(text, `${name}/${settingsFileName}`) },
  ]);
  const files = await folder.list();
  let bytes = 0;
  for (const file of files) {
    const open = await folder.file(file).open();
    bytes += open.size;
    await open.close();
  }
  return {
    name,
    settings,
    checkpoint: await newestCheckpoint(folder),
    points: (await readStats(folder.file(statsFileName))).map(pointOf),
    dynamics: await readDynamicsFile(folder.file(dynamicsFileName)),
    grids: files.flatMap((file) => {
      const match = /^samples-(\d{10})\.png$/.exec(file);
      return match === null ? [] : [Number(match[1])];
    }),
    bytes,
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
  return new Blob([await readWhole((await runFolder(run)).file(file))]);
}

/** Removes a run with all its files. @throws EvenkeelError `file` if something has it. */
export async function removeRun(name: string): Promise<void> {
  await withRun(name, () => removeRunFolder(name));
}
