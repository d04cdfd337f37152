import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { EvenkeelError } from "../../engine/index.ts";
import { fileSystemError } from "../../engine/io/node.ts";
import { lockFile, removeUnlocked } from "./fileLock.ts";
import { lockFileName } from "./runFiles.ts";

/** Locks that this process holds. One with this process's id that isn't among them is of a dead one that had the same id. */
const held = new Map<string, RunLock>();

/** Milliseconds from one sign of life to the next, and without one after which an owner that can't be seen from here counts as dead. */
const [betweenSigns, patience] = [60_000, 600_000];

/**
 * Keeps a second run out of a run folder: a file `run.lock` that names its owner. Where the system can (`fileLock.ts`), the file is locked
 * as well, which ends with the process whatever its id and its machine's name are by then; elsewhere the process id tells whether the
 * owner lives. From another machine neither may be seen: the owner writes its file again every minute, and one whose file is ten minutes
 * old, by the clock of the disk that both share, has died.
 */
export class RunLock {
  readonly #path: string;
  readonly #owner: string;
  readonly #descriptor: number;
  readonly #signs: ReturnType<typeof setInterval>;

  private constructor(path: string, { owner, descriptor }: Created) {
    this.#path = path;
    this.#owner = owner;
    this.#descriptor = descriptor;
    this.#signs = setInterval(() => this.#giveSign(), betweenSigns).unref();
    held.set(owner, this);
  }

  /**
   * Takes the folder. The lock of a process of this machine that no longer lives is taken over, also if the machine's name has changed,
   * as a container's does. All in one task, so that a signal, which may end the process, finds a lock that it knows of or none.
   * @throws EvenkeelError `file` that names the process if the folder is in use.
   */
  static async take(folder: string): Promise<RunLock> {
    const taken = await RunLock.tryTake(folder);
    if (taken instanceof RunLock) return taken;
    throw new EvenkeelError("file", `${folder} is in use by ${taken.owner}. ${taken.advice}`);
  }

  /**
   * The same, but gives whose it is if it is in use.
   * @param name the lock's file: several things of a folder may have locks of their own
   * @throws EvenkeelError `file` if the file system refuses.
   */
  static async tryTake(folder: string, name: string = lockFileName): Promise<RunLock | LockOwner> {
    const path = join(folder, name);
    for (let attempt = 0; attempt < 3; attempt++) {
      const created = create(path, folder);
      if (created !== null) return new RunLock(path, created);
      const owner = removeStale(path);
      if (owner !== null) return owner;
    }
    return { owner: "another process that took it just now", advice: "Wait for it." };
  }

  /** Gives free what this process holds, when it is about to end. */
  static releaseAll(): void {
    for (const lock of held.values()) lock.release();
  }

  /** Gives the folder free, unless somebody else has taken it over. */
  release(): void {
    if (!held.delete(this.#owner)) return;
    clearInterval(this.#signs);
    try {
      if (readFileSync(this.#path, "utf8") === this.#owner) rmSync(this.#path);
    } catch {
      // Nothing to give free.
    }
    closeSync(this.#descriptor);
  }

  /** The disk's own clock says when. */
  #giveSign(): void {
    try {
      writeSync(this.#descriptor, this.#owner, 0);
      fsyncSync(this.#descriptor);
    } catch {
      // A disk that is full or gone for a moment: the next sign may come through.
    }
  }
}

/** Who has a lock, and what can be done about it. */
export type LockOwner = { readonly owner: string; readonly advice: string };

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

/**
 * Removes the lock of an owner that no longer lives. @returns the owner if it lives, or may live on another machine
 * @throws EvenkeelError `file` if it can't be read.
 */
function removeStale(path: string): LockOwner | null {
  let owner: string;
  try {
    owner = readFileSync(path, "utf8");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw new EvenkeelError("file", `can't read ${path}: ${String(cause)}`, { cause });
  }
  const [pid = "", host = "", , start] = owner.split(" ");
  const isOurs = host === hostname();
  if (owner !== "") {
    // Another machine's lock on a shared disk may not be seen here, unless it is this one, started again.
    const isSeen = start !== undefined && (isOurs || start === systemStart());
    const wasRemoved = isSeen ? removeUnlocked(path) : undefined;
    if (wasRemoved === true) return null;
    const isDead = wasRemoved === undefined && (isOurs ? !isAlive(Number(pid), owner) : isSilent(path));
    if (!isDead) {
      // Names in files are for the terminal only without control characters.
      const who = `process ${pid}${isOurs ? "" : ` of ${host}`}`.replaceAll(/\p{Cc}/gu, "?");
      const otherwise = isOurs ? "" : `, or wait: after ten minutes without a sign of life it counts as dead`;
      const advice = wasRemoved === false ? "" : `; if it no longer lives, remove ${path}${otherwise}`;
      return { owner: who, advice: `Stop it first${advice}.` };
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
  return null;
}

/** Whether a lock's owner has given no sign of life for long, by the clock that gives files their times. */
function isSilent(path: string): boolean {
  const now = sibling(path);
  try {
    writeFileSync(now, "");
    return statSync(now).mtimeMs - statSync(path).mtimeMs > patience;
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return true;
    throw fileSystemError(path, "looking at its time", cause);
  } finally {
    rmSync(now, { force: true });
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
