import { basename, dirname } from "node:path";
import { RunLock } from "../../diffusion/run/node.ts";
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
  await makeFolder(dirname(file));
  const lock = await RunLock.tryTake(dirname(file), `${basename(file)}.lock`);
  if (!(lock instanceof RunLock)) {
    print(`${file}: left to ${lock.owner}, which is at it`);
    return null;
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** The same for what everybody needs: it is waited for until it is there or nobody is at it. */
export async function onceForAll(
  file: string,
  isThere: () => Promise<boolean>,
  print: (line: string) => void,
  work: () => Promise<void>,
): Promise<void> {
  let isSaid = false;
  while (!(await isThere())) {
    const say = (line: string): void => {
      if (!isSaid) print(line);
      isSaid = true;
    };
    const done = await unlessTaken(file, say, async () => {
      // Whoever was at it may have finished just now.
      if (!(await isThere())) await work();
      return true;
    });
    if (done === null) await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Milliseconds from one look to the next. */
const pause = 500;
