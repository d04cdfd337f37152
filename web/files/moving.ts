/** Runs and data sets on their way: what is kept in the browser, what is being moved, and what came of it. */
import * as Comlink from "comlink";
import { signal } from "@preact/signals";
import { chosenName, readDatasets, runs, say } from "../state/lab.ts";
import { download } from "../state/download.ts";
import { Run } from "../state/run.ts";
import { study } from "../state/workers.ts";
import type { BroughtRun, Files, StorageFacts, WrittenOut } from "../worker/files.ts";
import type { GivenFile } from "../../engine/io/index.ts";
import { titleOfGiven } from "./given.ts";
import { chooseZip } from "./saveTarget.ts";

/** All that is kept; null until it was looked for. */
export const kept = signal<StorageFacts | null>(null);

/** What is being moved; null if nothing is. */
export const moving = signal<{ readonly what: string; readonly done: number; readonly total: number } | null>(null);

/** What came of the last move. */
export type MoveReport = {
  readonly kind: "opened" | "saved";
  /** What was moved. */
  readonly run: string;
  readonly told: readonly string[];
};
export const report = signal<MoveReport | null>(null);

/** Why the last move failed. */
export const problem = signal<string | null>(null);

let own: Promise<Comlink.Remote<Files>> | undefined;

function files(): Promise<Comlink.Remote<Files>> {
  // The assertion: what is handed out as a proxy arrives as one.
  return (own ??= study().files() as Promise<Comlink.Remote<Files>>);
}

/** Looks again at what is kept. */
export async function lookAtKept(): Promise<void> {
  kept.value = await (await files()).facts();
}

/** Opens the run of a zip or of a folder: it is a run of the lab afterwards. */
export async function openRun(given: readonly GivenFile[]): Promise<void> {
  const [first, second] = given;
  if (first === undefined) return;
  const source = titleOfGiven(given);
  await move(`Opening ${source}`, async (worker, tell) => {
    const name = await study().takeRunName(source.replace(/\.zip$/i, ""));
    const isOne = second === undefined && !first.path.includes("/");
    const { run, told }: BroughtRun = isOne
      ? await worker.importZip(name, first.blob, source, tell)
      : await worker.importFolder(name, given, source, tell);
    runs.value = [...runs.value, Run.of(run)];
    chosenName.value = name;
    report.value = { kind: "opened", run: name, told };
  });
}

/** Writes a zip of a run to where somebody chooses. */
export async function saveRun(name: string): Promise<void> {
  await save(
    `${name}.zip`,
    (worker, handle, tell) => worker.exportRun(name, handle, tell),
    (told) => {
      report.value = { kind: "saved", run: name, told };
    },
  );
}

/** Writes a data set as the command reads it. */
export async function saveDataset(name: string): Promise<void> {
  await save(
    `${name}.zip`,
    (worker, handle, tell) => worker.exportDataset(name, handle, tell),
    () => {
      say("note", `${name}.zip is saved: npx evenkeel train --data ${name}.zip trains on it.`);
    },
  );
}

export async function removeDataset(name: string): Promise<void> {
  await move(`Removing ${name}`, async (worker) => {
    await worker.removeDataset(name);
    await readDatasets();
  });
}

export async function removeRemains(name: string): Promise<void> {
  await move(`Removing ${name}`, (worker) => worker.removeRemains(name));
}

/** Hands out a single file of a run. */
export async function saveFile(run: string, name: string): Promise<void> {
  download({ name: name.includes(run) ? name : `${run}-${name}`, blob: await study().file(run, name) });
}

/** Ends what is being moved. */
export function cancelMove(): void {
  void files().then((worker) => worker.cancel());
}

type Tell = ((done: number, total: number) => void) & Comlink.ProxyMarked;

async function save(
  name: string,
  write: (worker: Comlink.Remote<Files>, handle: FileSystemFileHandle | null, tell: Tell) => Promise<WrittenOut>,
  written: (told: readonly string[]) => void,
): Promise<void> {
  if (moving.value !== null) return;
  const target = await chooseZip(name);
  if (target === null) return;
  await move(`Writing ${name}`, async (worker, tell) => {
    const { blob, told } = await write(worker, target.handle, tell);
    if (blob !== null) download({ name, blob });
    written(told);
  });
}

async function move(what: string, task: (worker: Comlink.Remote<Files>, tell: Tell) => Promise<void>): Promise<void> {
  if (moving.value !== null) return;
  moving.value = { what, done: 0, total: 0 };
  problem.value = null;
  report.value = null;
  const tell = Comlink.proxy((done: number, total: number) => {
    if (moving.value !== null) moving.value = { what, done, total };
  });
  try {
    await task(await files(), tell);
  } catch (reason) {
    problem.value = reason instanceof Error ? reason.message : String(reason);
  } finally {
    moving.value = null;
    await lookAtKept();
  }
}
