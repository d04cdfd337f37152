import { basename, dirname } from "node:path";
import { type LockOwner, RunLock } from "../../diffusion/run/node.ts";
import { makeFolder } from "../../engine/io/node.ts";

/**
 * Does a unit of shared work, unless another process is at it: that is said, and it is left to that one.
 * @param file what the unit makes; its lock stands beside it
 * @returns what `work` gives; null if the unit was left to another process
 */
export async function unlessTaken<T>(
  file: string,
  print: (line: string) => void,
  work: () => Promise<T>,
): Promise<T | null> {
  return locked(file, work, ({ owner }) => print(`${file}: left to ${owner}, which is at it`));
}

/** Does what every process needs once: others wait until it is there. */
export async function onceForAll(
  file: string,
  isThere: () => Promise<boolean>,
  print: (line: string) => void,
  work: () => Promise<void>,
): Promise<void> {
  let isSaid = false;
  const tell = ({ owner }: LockOwner): void => {
    if (!isSaid) print(`${file}: waiting for ${owner}, which makes it`);
    isSaid = true;
  };
  while (!(await isThere())) {
    await locked(file, async () => ((await isThere()) ? undefined : work()), tell);
    // Nothing to wait for if it was made here.
    if (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, betweenLooks));
  }
}

/** Milliseconds. */
const betweenLooks = 500;

async function locked<T>(file: string, work: () => Promise<T>, tell: (owner: LockOwner) => void): Promise<T | null> {
  await makeFolder(dirname(file));
  const lock = await RunLock.tryTake(dirname(file), `${basename(file)}.lock`);
  if (!(lock instanceof RunLock)) {
    tell(lock);
    return null;
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}
