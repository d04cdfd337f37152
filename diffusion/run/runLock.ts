import { randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { EvenkeelError } from "../../engine/index.ts";
import { fileSystemError } from "../../engine/io/node.ts";
import { lockFile, removeUnlocked } from "./fileLock.ts";
import { lockFileName } from "./runFiles.ts";

/** Locks that this process holds. One with this process's id that isn't among them is of a dead one that had the same id. */
const held = new Map<string, RunLock>();

/**
 * Keeps a second run out of a run folder: a file `run.lock` that names its owner. Where the system can (`fileLock.ts`), the file is locked
 * as well, which ends with the process whatever its id and its machine's name are by then; elsewhere the process id tells whether the
 * owner lives.
 */
export class RunLock {
  readonly #path: string;
  readonly #owner: string;
  readonly #descriptor: number;

  private constructor(path: string, { owner, descriptor }: Created) {
    this.#path = path;
    this.#owner = owner;
    this.#descriptor = descriptor;
    held.set(owner, this);
  }

  /**
   * Takes the folder. The lock of a process of this machine that no longer lives is taken over, also if the machine's name has changed,
   * as a container's does. All in one task, so that a signal, which may end the process, finds a lock that it knows of or none.
   * @throws EvenkeelError `file` that names the process if the folder is in use.
   */
  static async take(folder: string): Promise<RunLock> {
    const path = join(folder, lockFileName);
    for (let attempt = 0; attempt < 3; attempt++) {
      const created = create(path, folder);
      if (created !== null) return new RunLock(path, created);
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
    if (!held.delete(this.#owner)) return;
    try {
      if (readFileSync(this.#path, "utf8") === this.#owner) rmSync(this.#path);
    } catch {
      // Nothing to give free.
    }
    closeSync(this.#descriptor);
  }
}

type Created = { readonly owner: string; readonly descriptor: number };

/** A new file that names this process and is locked, if that can be. Close its descriptor. */
function writeOwner(file: string): Created {
  const descriptor = openSync(file, "wx");
  try {
    const owner = [process.pid, hostname(), randomBytes(8).toString("hex")].join(" ");
    writeSync(descriptor, owner);
    if (!lockFile(descriptor, file)) return { owner, descriptor };
    const locked = `${owner} ${systemStart()}`;
    ftruncateSync(descriptor);
    writeSync(descriptor, locked, 0);
    return { owner: locked, descriptor };
  } catch (reason) {
    closeSync(descriptor);
    throw reason;
  }
}

/** Makes the lock with its text in it, never without; null if there is one. */
function create(path: string, folder: string): Created | null {
  const draft = sibling(path);
  let created: Created | undefined;
  try {
    created = writeOwner(draft);
    try {
      linkSync(draft, path);
    } catch (cause) {
      // Some file systems have no links; there, a reader may for a moment find the lock empty.
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(String(codeOf(cause)))) throw cause;
      closeSync(created.descriptor);
      created = undefined;
      return writeOwner(path);
    }
    return created;
  } catch (cause) {
    if (created !== undefined) closeSync(created.descriptor);
    if (codeOf(cause) === "EEXIST") return null;
    throw fileSystemError(folder, "writing into it", cause);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** What tells one start of the system from another, and one machine from another; containers of one machine have it in common. */
function systemStart(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `unknown-${randomBytes(8).toString("hex")}`;
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
  const [pid = "", host = "", , start] = owner.split(" ");
  const isOurs = host === hostname();
  if (owner !== "") {
    // Another machine's lock on a shared disk may not be seen here, unless it is this one, started again.
    const isSeen = start !== undefined && (isOurs || start === systemStart());
    const wasRemoved = isSeen ? removeUnlocked(path) : undefined;
    if (wasRemoved === true) return;
    if (wasRemoved === false || !isOurs || isAlive(Number(pid), owner)) {
      // Names in files are for the terminal only without control characters.
      const who = `process ${pid}${isOurs ? "" : ` of ${host}`}`.replaceAll(/\p{Cc}/gu, "?");
      const advice = wasRemoved === false ? "" : `; if it no longer lives, remove ${path}`;
      throw new EvenkeelError("file", `${folder} is in use by ${who}. Stop it first${advice}.`);
    }
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
