import { EvenkeelError } from "../../engine/index.ts";
import { readTextIfAny, type StoredFile, writeText } from "../../engine/io/index.ts";
import {
  type Dynamics,
  type DynamicsHeader,
  type DynamicsSample,
  formatDynamicsLine,
  parseDynamics,
} from "./format.ts";
import type { ReadingNames } from "./readings.ts";

/** The dynamics file of a run folder. */
export const dynamicsFileName = "dynamics.jsonl";

/**
 * What a dynamics file holds, also while its run goes on; null if there is none.
 * @throws EvenkeelError `file` if it can't be read or is damaged.
 * @example
 * ```ts
 * import { memoryFolder, writeText } from "evenkeel/engine/io";
 *
 * const file = memoryFolder().file(dynamicsFileName);
 * // A run without `dynamicsEvery` writes none.
 * console.log(await readDynamicsFile(file)); // null
 * await writeText(file, "something else\n");
 * console.log(await readDynamicsFile(file).catch((error: Error) => error.name)); // EvenkeelError
 * ```
 */
export async function readDynamicsFile(file: StoredFile): Promise<Dynamics | null> {
  const text = await readTextIfAny(file);
  return text === null ? null : parseDynamics(text, file.path);
}

/** A dynamics file that grows by a line a sample. */
export class DynamicsLog {
  readonly #file: StoredFile;

  private constructor(file: StoredFile) {
    this.#file = file;
  }

  /**
   * Opens the file of a run that has seen `nimg` images, and begins it if it isn't there. Samples of work that was lost, and a
   * line torn by a crash, are removed; the interval may change from one opening to the next.
   * @throws EvenkeelError `file` if it can't be read or kept, or the file is of another network.
   */
  static async open(file: StoredFile, header: DynamicsHeader, nimg: number): Promise<DynamicsLog> {
    const old = nimg === 0 ? null : await readDynamicsFile(file);
    if (old !== null && !sameNames(old.header.names, header.names)) {
      throw new EvenkeelError(
        "file",
        `${file.path} is of another network. Move it away, or choose another run folder.`,
      );
    }
    const kept = (old?.samples ?? []).filter((sample) => sample.nimg <= nimg);
    const text = [header, ...kept].map((line) => `${formatDynamicsLine(line)}\n`).join("");
    await writeText(file, text);
    return new DynamicsLog(file);
  }

  /** Appends a sample as a line. @throws EvenkeelError `file`. */
  async append(sample: DynamicsSample): Promise<void> {
    await this.#file.append(new TextEncoder().encode(`${formatDynamicsLine(sample)}\n`));
  }
}

/** Are these the same layers in the same order? Whatever order the keys are in. */
function sameNames(a: ReadingNames, b: ReadingNames): boolean {
  const keys = Object.keys(a) as (keyof ReadingNames)[];
  return keys.every((key) => JSON.stringify(a[key]) === JSON.stringify(b[key]));
}
