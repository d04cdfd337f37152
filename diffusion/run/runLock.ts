import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { EvenkeelError } from "../../engine/index.ts";

/** Locks that this process holds. One with this process's id that isn't among them is of a dead one that had the same id. */
const held = new Map<string, RunLock>();

/** Keeps a second run out of a run folder. */
export class RunLock {
  readonly #path: string;
  readonly #owner: string;

  private constructor(path: string, owner: string) {
    this.#path = path;
    this.#owner = owner;
    held.set(owner, this);
  }

  /**
   * Takes the folder. The lock of a process of this machine that no longer lives is taken over.
   * @throws EvenkeelError `file` that names the process if the folder is in use.
   */
  static async take(folder: string): Promise<RunLock> {
    const path = join(folder, "run.lock");
    const owner = `${process.pid} ${hostname()} ${randomBytes(8).toString("hex")}`;
    for (let attempt = 0; attempt < 3; attempt++) {
      if (await create(path, owner, folder)) return new RunLock(path, owner);
      await removeStale(path, folder);
    }
    throw new EvenkeelError("file", `${folder} was taken by another process just now.`);
  }

  /** Gives free what this process holds, when it is about to end. */
  static releaseAll(): void {
    for (const lock of held.values()) lock.release();
  }

  /** Gives the folder free, unless somebody else has taken it over. */
  release(): void {
    held.delete(this.#owner);
    try {
      if (readFileSync(this.#path, "utf8") === this.#owner) rmSync(this.#path);
    } catch {
      // Nothing to give free.
    }
  }
}

/** Makes the lock with its text in it, never without; false if there is one. */
async function create(path: string, owner: string, folder: string): Promise<boolean> {
  const draft = sibling(path);
  try {
    await writeFile(draft, owner, { flag: "wx" });
    await link(draft, path).catch(async (cause: unknown) => {
      // Some file systems have no links; there, a reader may for a moment find the lock empty.
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(String(codeOf(cause)))) throw cause;
      await writeFile(path, owner, { flag: "wx" });
    });
    return true;
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EvenkeelError("file", `can't write into ${folder}: ${reason}`, { cause });
  } finally {
    await rm(draft, { force: true });
  }
}

/** @throws EvenkeelError `file` if the lock's owner lives, or may live on another machine. */
async function removeStale(path: string, folder: string): Promise<void> {
  const owner = await readFile(path, "utf8").catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return null;
    throw new EvenkeelError("file", `can't read ${path}: ${String(cause)}`, { cause });
  });
  if (owner === null) return;
  const [pid = "", host = ""] = owner.split(" ");
  const isOurs = host === hostname();
  if (owner !== "" && (!isOurs || isAlive(Number(pid), owner))) {
    throw new EvenkeelError(
      "file",
      `${folder} is in use by process ${pid}${isOurs ? "" : ` of ${host}`}. Stop it first; if it no longer lives, remove ${path}.`,
    );
  }
  // Two processes may find the same stale lock. Renaming it, only one of them can have taken it away; should it be a fresh one
  // that was taken, it is put back.
  const removed = sibling(path);
  try {
    await rename(path, removed);
    if ((await readFile(removed, "utf8")) !== owner) await link(removed, path);
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT" && codeOf(cause) !== "EEXIST") throw cause;
  } finally {
    await rm(removed, { force: true });
  }
}

/** A name that what cleans up after killed processes knows. */
function sibling(path: string): string {
  return join(path, "..", `.evenkeel-${randomBytes(8).toString("hex")}.partial`);
}

function isAlive(pid: number, owner: string): boolean {
  if (pid === process.pid) return held.has(owner);
  try {
    process.kill(pid, 0);
    return true;
  } catch (reason) {
    return codeOf(reason) === "EPERM";
  }
}

function codeOf(reason: unknown): unknown {
  return reason instanceof Error && "code" in reason ? reason.code : undefined;
}
