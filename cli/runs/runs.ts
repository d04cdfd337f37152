import { join } from "node:path";
import type { TrainSettings } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { newestCheckpoint } from "../../diffusion/checkpoint/index.ts";
import { diskFolder, makeFolder } from "../../engine/io/node.ts";
import { exists } from "../exists.ts";
import { unlessTaken } from "../shards/unitLock.ts";
import { readStored } from "../storedJson.ts";
import { train } from "../train/train.ts";
import { writeText } from "../train/writeText.ts";
import type { ProgressStream } from "../workProgress.ts";

/** A run among others: its name is that of its folder and of the file of what was measured. */
export type NamedRun = { readonly name: string; readonly settings: TrainSettings };

/** How runs are measured, and where. */
export type RunsOptions<R extends NamedRun, M extends object> = {
  /** The folder of all: runs lie in `runs`, what was measured of them in `measures`. */
  readonly outdir: string;
  /** Fields that a file of what was measured has. */
  readonly fields: readonly (keyof M & string)[];
  /** Throws if what was measured before isn't of the run that is wanted now. */
  readonly requireSame?: (path: string, measured: M, run: R) => void;
  readonly measure: (run: R) => Promise<M>;
  /** What is kept of a run that diverges; without this it ends everything. */
  readonly diverged?: (run: R) => Promise<M>;
  /** What is said of a run that has been measured. */
  readonly describe: (measured: M) => string;
  readonly output: ProgressStream;
  readonly print: (line: string) => void;
};

/** What became of a run: measured; the process was asked to stop; or another process is at it. */
export type Outcome<M> = { readonly measured: M } | "stopped" | "elsewhere";

/**
 * Trains and measures runs, each once: what is there from before is taken. Any number of processes may do so in one folder: a run is
 * left to the one that is at it, and goes on where one that died has left it.
 */
export class Runs<R extends NamedRun, M extends object> {
  readonly #options: RunsOptions<R, M>;

  private constructor(options: RunsOptions<R, M>) {
    this.#options = options;
  }

  /** Makes the folders. */
  static async in<R extends NamedRun, M extends object>(options: RunsOptions<R, M>): Promise<Runs<R, M>> {
    for (const folder of ["runs", "measures"]) await makeFolder(join(options.outdir, folder));
    return new Runs(options);
  }

  /** What was measured before; null if it wasn't. @throws EvenkeelError `file` if it can't be read, and as `requireSame` does. */
  async stored(run: R): Promise<M | null> {
    const path = this.#pathOf(run);
    const measured = await readStored<M>(path, this.#options.fields);
    if (measured !== null) this.#options.requireSame?.(path, measured, run);
    return measured;
  }

  /** Says which of the runs are missing, if some are there. */
  async tellMissing(runs: readonly R[]): Promise<void> {
    const missing: string[] = [];
    for (const run of runs) if ((await this.stored(run)) === null) missing.push(run.name);
    if (missing.length === 0 || missing.length === runs.length) return;
    this.#options.print(`${missing.length} of ${runs.length} runs are missing and made now: ${missing.join(", ")}`);
  }

  /** @param where what messages call it. @throws EvenkeelError as `stored` and as training and measuring do. */
  async measured(run: R, where: string): Promise<Outcome<M>> {
    const { print, describe } = this.#options;
    const say = (text: string): void => print(`${where} ${run.name}: ${text}`);
    const before = await this.stored(run);
    const outcome =
      before === null ? await unlessTaken(this.#pathOf(run), print, () => this.#make(run, say)) : { measured: before };
    if (outcome === null) return "elsewhere";
    if (outcome !== "stopped") say(`${before === null ? "" : "measured before, "}${describe(outcome.measured)}`);
    return outcome;
  }

  async #make(run: R, say: (text: string) => void): Promise<{ readonly measured: M } | "stopped"> {
    const { measure, diverged, output } = this.#options;
    // Another process may have finished it just now.
    const stored = await this.stored(run);
    if (stored !== null) return { measured: stored };
    say("training");
    let measured: M;
    try {
      await requireNoLonger(run.settings);
      if (!(await train(run.settings, { withReport: false, output }))) return "stopped";
      say("measuring");
      measured = await measure(run);
    } catch (reason) {
      if (diverged === undefined || !(reason instanceof EvenkeelError) || reason.code !== "diverged") throw reason;
      say(reason.message);
      measured = await diverged(run);
    }
    await writeText(this.#pathOf(run), `${JSON.stringify(measured)}\n`);
    return { measured };
  }

  #pathOf({ name }: R): string {
    return join(this.#options.outdir, "measures", `${name}.json`);
  }
}

/** @throws EvenkeelError `value` if a run was trained for longer, by somebody else, than it is to be measured after. */
async function requireNoLonger({ outdir, duration, batch }: TrainSettings): Promise<void> {
  const seen = (await exists(outdir)) ? await newestCheckpoint(diskFolder(outdir)) : 0;
  if (seen < duration + batch) return;
  throw new EvenkeelError(
    "value",
    `${outdir} holds a run of ${seen} images, and one of ${duration} is wanted here. Move it away, and it is trained anew.`,
  );
}

/** A name for folders and files out of what a run is called. */
export function fileNameOf(parts: readonly string[], seed: number): string {
  return [...parts, `seed${seed}`].map((part) => part.replaceAll(/[^A-Za-z0-9.=+-]/g, "-")).join("-");
}

/** What ends a command that can't finish because others are at some of its runs. */
export function atWorkElsewhere(command: string, names: readonly string[]): EvenkeelError {
  return new EvenkeelError(
    "file",
    `${command}: other processes are at ${names.join(", ")}, which the result needs. Give the same command again when they have ended.`,
  );
}
