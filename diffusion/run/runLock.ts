import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
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
   * Takes the folder. The lock of a process of this machine that no longer lives is taken over. All in one task, so that a signal, which
   * may end the process, finds a lock that it knows of or none.
   * @throws EvenkeelError `file` that names the process if the folder is in use.
   */
  static async take(folder: string): Promise<RunLock> {
    const path = join(folder, "run.lock");
    const owner = `${process.pid} ${hostname()} ${randomBytes(8).toString("hex")}`;
    for (let attempt = 0; attempt < 3; attempt++) {
      if (create(path, owner, folder)) return new RunLock(path, owner);
      removeStale(path, folder);
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
function create(path: string, owner: string, folder: string): boolean {
  const draft = sibling(path);
  try {
    writeFileSync(draft, owner, { flag: "wx" });
    try {
      linkSync(draft, path);
    } catch (cause) {
      // Some file systems have no links; there, a reader may for a moment find the lock empty.
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(String(codeOf(cause)))) throw cause;
      writeFileSync(path, owner, { flag: "wx" });
    }
    return true;
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EvenkeelError("file", `can't write into ${folder}: ${reason}`, { cause });
  } finally {
    rmSync(draft, { force: true });
  }
}

/** @throws EvenkeelError `file` if the lock's owner lives, or may live on another machine. */
function removeStale(path: string, folder: string): void {
  let owner: string;
  try {
    owner = readFileSync(path, "utf8");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return;
    throw new EvenkeelError("file", `can't read ${path}: ${String(cause)}`, { cause });
  }
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
    renameSync(path, removed);
    if (readFileSync(removed, "utf8") !== owner) linkSync(removed, path);
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT" && codeOf(cause) !== "EEXIST") throw cause;
  } finally {
    rmSync(removed, { force: true });
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
