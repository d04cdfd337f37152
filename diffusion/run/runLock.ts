import { readFileSync, rmSync } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { EvenkeelError } from "../../engine/index.ts";

/** Keeps a second process out of a run folder. */
export class RunLock {
  readonly #path: string;
  readonly #owner: string;

  private constructor(path: string, owner: string) {
    this.#path = path;
    this.#owner = owner;
  }

  /**
   * Takes the folder. The lock of a process of this machine that no longer lives is taken over.
   * @throws EvenkeelError `file` that names the process if it is in use.
   */
  static async take(folder: string): Promise<RunLock> {
    const path = join(folder, "run.lock");
    const owner = `${process.pid} ${hostname()}`;
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        await using file = await open(path, "wx");
        await file.writeFile(owner);
        return new RunLock(path, owner);
      } catch (cause) {
        if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) {
          const reason = cause instanceof Error ? cause.message : String(cause);
          throw new EvenkeelError("file", `can't write into ${folder}: ${reason}`, { cause });
        }
        await removeStale(path, folder);
      }
    }
    throw new EvenkeelError("file", `${folder} was taken by another process just now.`);
  }

  /** Gives the folder free, unless somebody else has taken it over. */
  release(): void {
    try {
      if (readFileSync(this.#path, "utf8") === this.#owner) rmSync(this.#path);
    } catch {
      // Nothing to give free.
    }
  }
}

async function removeStale(path: string, folder: string): Promise<void> {
  const text = await readFile(path, "utf8").catch(() => "");
  const [pid = "", host = ""] = text.split(" ");
  const isOurs = host === hostname();
  if (text !== "" && (!isOurs || isAlive(Number(pid)))) {
    throw new EvenkeelError(
      "file",
      `${folder} is in use by process ${pid}${isOurs ? "" : ` of ${host}`}. Stop it first; if it no longer lives, remove ${path}.`,
    );
  }
  await rm(path, { force: true });
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (reason) {
    return reason instanceof Error && "code" in reason && reason.code === "EPERM";
  }
}
