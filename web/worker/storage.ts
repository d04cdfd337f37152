/** Where the lab keeps things in the browser: runs and data sets, each run a folder of its own. */
import { EvenkeelError } from "../../engine/index.ts";
import { type Folder, type OriginDirectoryHandle, originFolder } from "../../engine/io/index.ts";

async function directory(name: string): Promise<OriginDirectoryHandle> {
  try {
    // The types of the browser know less than the standard: its handles have `entries`.
    const root = (await navigator.storage.getDirectory()) as unknown as OriginDirectoryHandle;
    return await root.getDirectoryHandle(name, { create: true });
  } catch (cause) {
    throw new EvenkeelError(
      "file",
      "The browser keeps nothing for this page (a private window, or storage is turned off). Open it in an ordinary window.",
      { cause },
    );
  }
}

/** The folder of a run, whether it is there or not. */
export async function runFolder(name: string): Promise<Folder> {
  return originFolder(await directory("runs"), name);
}

/** The names of all runs. */
export async function runNames(): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const [name, entry] of (await directory("runs")).entries())
    if (entry.kind === "directory") names.push(name);
  return names.sort();
}

/**
 * A name like the wanted one that no run has, in letters that any system takes for a folder: `emoji16-G`, `emoji16-G-2`, ... Its folder is made, so that
 * nobody else takes it, in no other tab either.
 */
export async function takeRunName(wanted: string): Promise<string> {
  const letters = wanted
    .normalize()
    .replaceAll(/[^\p{L}\p{N}_.-]+/gu, "-")
    .replaceAll(/^[-.]+|[-.]+$/g, "")
    .slice(0, 60);
  const plain = letters === "" ? "run" : letters;
  return await navigator.locks.request("evenkeel-run-names", async () => {
    const taken = new Set(await runNames());
    let name = plain;
    for (let number = 2; taken.has(name); number++) name = `${plain}-${number}`;
    await (await runFolder(name)).prepare();
    return name;
  });
}

/** Removes a run with all its files. */
export async function removeRunFolder(name: string): Promise<void> {
  await (await directory("runs")).removeEntry(name, { recursive: true });
}

/**
 * Does something with a run that nothing else in the browser may touch meanwhile: training it, moving its files.
 * @throws EvenkeelError `file` if another tab or task has it.
 */
export async function withRun<T>(name: string, task: () => Promise<T>): Promise<T> {
  return await navigator.locks.request(`evenkeel-run-${name}`, { ifAvailable: true }, async (lock) => {
    if (lock !== null) return task();
    throw new EvenkeelError(
      "file",
      `Another tab trains ${name}, or its files are being moved. Look at it there, close that tab, or wait.`,
    );
  });
}

/** Where data sets are that somebody brought. */
export async function datasetFolder(): Promise<Folder> {
  const root = (await navigator.storage.getDirectory()) as unknown as OriginDirectoryHandle;
  const folder = originFolder(root, "datasets");
  await folder.prepare();
  return folder;
}
