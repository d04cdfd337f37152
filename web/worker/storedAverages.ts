/** The stored averages of runs, in memory for as long as somebody looks at them. */
import { StoredAverages } from "../../diffusion/ema/index.ts";
import { runSettings } from "./runSettings.ts";
import { studyDevice } from "./studyDevice.ts";
import { runFolder } from "./storage.ts";

/** Runs whose averages are in memory at most: two can be compared. */
const mostRuns = 2;

type Kept = {
  readonly averages: Promise<StoredAverages>;
  users: number;
  /** The names of the run's files when its averages were last read: reading what each of them says takes long. */
  files: string;
};

/** By the run's name, those used last at the end. */
const kept = new Map<string, Kept>();

/** Lends the averages of a run, with all that has been stored so far. */
export async function withAverages<T>(run: string, use: (averages: StoredAverages) => Promise<T>): Promise<T> {
  const own = kept.get(run) ?? { averages: open(run), users: 0, files: "" };
  kept.delete(run);
  kept.set(run, own);
  own.users++;
  try {
    await dropOthers();
    const averages = await own.averages;
    const files = (await (await runFolder(run)).list()).join("/");
    if (files !== own.files) {
      await averages.refresh();
      own.files = files;
    }
    return await use(averages);
  } catch (reason) {
    // What couldn't be opened is opened anew by who asks again.
    await own.averages.catch(() => kept.delete(run));
    throw reason;
  } finally {
    own.users--;
  }
}

async function open(run: string): Promise<StoredAverages> {
  // Says so if it has written nothing yet.
  await runSettings(run);
  return StoredAverages.open(await runFolder(run), { device: await studyDevice() });
}

async function dropOthers(): Promise<void> {
  for (const [run, { users }] of [...kept]) if (kept.size > mostRuns && users === 0) await forgetAverages(run);
}

/** A run that is there no more: another may have its name. */
export async function forgetAverages(run: string): Promise<void> {
  const own = kept.get(run);
  kept.delete(run);
  (await own?.averages.catch(() => undefined))?.dispose();
}
