import { open, readFile } from "node:fs/promises";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { writeFileAtomically } from "../../../engine/io/node.ts";
import {
  type Dynamics,
  type DynamicsHeader,
  type DynamicsSample,
  formatDynamicsLine,
  parseDynamics,
} from "../format.ts";
import type { ReadingNames } from "../readings.ts";

/** The dynamics file of a run folder. */
export const dynamicsFileName = "dynamics.jsonl";

/**
 * What a dynamics file holds, also while its run goes on; null if there is none.
 * @throws EvenkeelError `file` if it can't be read or is damaged.
 */
export async function readDynamics(path: string): Promise<Dynamics | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
    throw failure("read", path, cause);
  }
  return parseDynamics(text, path);
}

/** A dynamics file that grows by a line a sample. */
export class DynamicsLog {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens the file of a run that has seen `nimg` images, and begins it if it isn't there. Samples of work that was lost, and a
   * line torn by a crash, are removed; the interval may change from one opening to the next.
   * @throws EvenkeelError `file` if the file system refuses or the file is of another network.
   */
  static async open(path: string, header: DynamicsHeader, nimg: number): Promise<DynamicsLog> {
    const old = nimg === 0 ? null : await readDynamics(path);
    if (old !== null && !sameNames(old.header.names, header.names)) {
      throw new EvenkeelError("file", `${path} is of another network. Move it away, or choose another run folder.`);
    }
    const kept = (old?.samples ?? []).filter((sample) => sample.nimg <= nimg);
    const text = [header, ...kept].map((line) => `${formatDynamicsLine(line)}\n`).join("");
    await writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(text)));
    return new DynamicsLog(path);
  }

  /** Appends a sample as a line. @throws EvenkeelError `file`. */
  async append(sample: DynamicsSample): Promise<void> {
    try {
      await using file = await open(this.#path, "a");
      await file.appendFile(`${formatDynamicsLine(sample)}\n`);
    } catch (cause) {
      throw failure("write", this.#path, cause);
    }
  }
}

/** Are these the same layers in the same order? Whatever order the keys are in. */
function sameNames(a: ReadingNames, b: ReadingNames): boolean {
  const keys = Object.keys(a) as (keyof ReadingNames)[];
  return keys.every((key) => JSON.stringify(a[key]) === JSON.stringify(b[key]));
}

function failure(what: "read" | "write", path: string, cause: unknown): EvenkeelError {
  const reason = messageOf(cause);
  return new EvenkeelError("file", `can't ${what} ${path}: ${reason}`, { cause });
}
