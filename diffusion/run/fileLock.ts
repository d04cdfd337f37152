import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, openSync, rmSync, statSync } from "node:fs";

/**
 * The system's own locks on files, which end with the process that has them, however it ends. Node has no call for them; the program
 * `flock`, a part of every Linux, locks a descriptor that it is given, and the lock stays with the descriptor when the program has ended.
 */

/** Locks an open file. False if that can't be done here: no such program, or a file system that doesn't keep locks. */
export function lockFile(descriptor: number, path: string): boolean {
  if (flock(descriptor) !== true) return false;
  // Some file systems say yes and do nothing: then a second lock can be had as well.
  const second = openSync(path, "r+");
  try {
    return flock(second) === false;
  } finally {
    closeSync(second);
  }
}

/**
 * Removes a file unless a process, this one too, has locked it: of several that try, one removes it. True if it is gone, false if it is
 * locked, undefined if that can't be told.
 */
export function removeUnlocked(path: string): boolean | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r+");
    const isFree = flock(descriptor);
    // Somebody else may have put another file in its place meanwhile.
    if (isFree === true && fstatSync(descriptor).ino === statSync(path).ino) rmSync(path);
    return isFree;
  } catch (reason) {
    if (reason instanceof Error && "code" in reason && reason.code === "ENOENT") return true;
    throw reason;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Locks a descriptor. False if another one of the same file is locked, undefined if it can't be done. */
function flock(descriptor: number): boolean | undefined {
  const { status } = spawnSync("flock", ["-x", "-n", "3"], { stdio: ["ignore", "ignore", "ignore", descriptor] });
  return status === 0 ? true : status === 1 ? false : undefined;
}
