/** Files of runs and data sets on their way into the browser's storage and out of it. */
import { writeDatasetZip } from "../../diffusion/data/index.ts";
import { copyRun, exportRun, importRun, type TravelOptions, type TravelReport } from "../../diffusion/run/index.ts";
import { settingsFileName } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { blobFile, blobFolder, type Folder, type GivenFile } from "../../engine/io/index.ts";
import { keptBytes, keptDatasets, openDataset, removeDataset } from "./datasets.ts";
import { writeOut } from "./sinks.ts";
import type { StoredRun } from "./messages.ts";
import { removeRunFolder, runFolder, runNames, withRun } from "./storage.ts";
import { storedRun } from "./storedRuns.ts";
import { type FileFacts, filesOf } from "./whileWritten.ts";

/** All that the lab keeps in the browser. */
export type StorageFacts = {
  readonly runs: readonly { readonly name: string; readonly files: readonly FileFacts[] }[];
  /** Folders of runs without settings: a run that was being brought in when the page was closed. */
  readonly remains: readonly FileFacts[];
  readonly datasets: readonly FileFacts[];
};

/** What was brought in. */
export type BroughtRun = { readonly run: StoredRun; readonly told: readonly string[] };

/** What was written: to be downloaded, unless it lies in a chosen file already. */
export type WrittenOut = { readonly blob: Blob | null; readonly told: readonly string[] };

/** Told how many bytes or images there were, and of how many. */
type Tell = (done: number, total: number) => void;

export class Files {
  #moving: AbortController | undefined;

  async facts(): Promise<StorageFacts> {
    const [runs, remains] = [[] as StorageFacts["runs"][number][], [] as FileFacts[]];
    for (const name of await runNames()) {
      const files = await filesOf(await runFolder(name));
      if (files.some((file) => file.name === settingsFileName)) runs.push({ name, files });
      else remains.push({ name, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) });
    }
    const datasets: FileFacts[] = [];
    for (const name of await keptDatasets()) datasets.push({ name, bytes: await keptBytes(name) });
    return { runs, remains, datasets };
  }

  /** Writes a zip of a run. @param target a file that somebody chose; null makes a blob. */
  exportRun(name: string, target: FileSystemFileHandle | null, tell: Tell): Promise<WrittenOut> {
    return withRun(name, () =>
      this.#move(tell, async (options) => {
        let told: readonly string[] = [];
        const folder = await runFolder(name);
        const blob = await writeOut(target, async (sink) => {
          ({ told } = await exportRun(folder, sink, { ...options, modified: new Date() }));
        });
        return { blob, told };
      }),
    );
  }

  /** Brings in the run of a zip, under a name that no run has. */
  importZip(name: string, zip: Blob, source: string, tell: Tell): Promise<BroughtRun> {
    return this.#bring(name, tell, async (folder, options) => {
      const archive = await blobFile(source, zip).open();
      return importRun(archive, source, folder, options);
    });
  }

  /** Brings in the run of a folder. */
  importFolder(name: string, files: readonly GivenFile[], source: string, tell: Tell): Promise<BroughtRun> {
    return this.#bring(name, tell, async (folder, options) => {
      const from = blobFolder(source, files);
      const report = await copyRun(from, folder, options);
      const left = from.leftOut.length;
      return left === 0 ? report : { ...report, told: [`Left out ${left}: ${from.leftOut[0]} ...`, ...report.told] };
    });
  }

  /** Writes a data set as the command reads it. */
  async exportDataset(name: string, target: FileSystemFileHandle | null, tell: Tell): Promise<WrittenOut> {
    const dataset = await openDataset(name);
    return { blob: await writeOut(target, (sink) => writeDatasetZip(sink, dataset, tell)), told: [] };
  }

  removeDataset(name: string): Promise<void> {
    return removeDataset(name);
  }

  /** Removes what is left of a run that was never whole. */
  removeRemains(name: string): Promise<void> {
    return withRun(name, () => removeRunFolder(name));
  }

  /** Ends what goes on; nothing is left of it. */
  cancel(): void {
    this.#moving?.abort();
  }

  #bring(
    name: string,
    tell: Tell,
    task: (folder: Folder, options: TravelOptions) => Promise<TravelReport>,
  ): Promise<BroughtRun> {
    return withRun(name, () =>
      this.#move(tell, async (options) => {
        await makeWay(name);
        const folder = await runFolder(name);
        try {
          const { told } = await task(folder, options);
          return { run: await storedRun(name), told };
        } catch (reason) {
          // Its files are gone; without them the folder is nothing.
          await removeRunFolder(name).catch(() => undefined);
          throw reason;
        }
      }),
    );
  }

  async #move<T>(tell: Tell, task: (options: TravelOptions) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    this.#moving = controller;
    try {
      return await task({ onProgress: paced(tell), signal: controller.signal });
    } finally {
      this.#moving = undefined;
    }
  }
}

/** Removes what is left of a run that was never whole. @throws EvenkeelError `file` if there is a run of this name. */
async function makeWay(name: string): Promise<void> {
  if (!(await runNames()).includes(name)) return;
  if (await (await runFolder(name)).file(settingsFileName).exists()) {
    throw new EvenkeelError("file", `There is a run called ${name} already. Load the page again to see it.`);
  }
  await removeRunFolder(name);
}

/** Milliseconds between two tellings: each is a message to the page. */
const pace = 100;

function paced(tell: Tell): Tell {
  let told = 0;
  return (done, total) => {
    const now = performance.now();
    if (now - told < pace && done < total) return;
    told = now;
    tell(done, total);
  };
}
