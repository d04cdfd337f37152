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
  return locked(file, work, (owner) => print(leftTo(file, owner)));
}

/** Units that this process has to itself until they are released. */
export type TakenUnits = {
  /** Which of those that were asked for. */
  readonly indices: readonly number[];
  release(): void;
};

/** Takes several units at once, those that another process isn't at; the others are said. @param files as in `unlessTaken` */
export async function takeUnits(files: readonly string[], print: (line: string) => void): Promise<TakenUnits> {
  const locks: RunLock[] = [];
  const indices: number[] = [];
  for (const [index, file] of files.entries()) {
    const lock = await lockOf(file);
    if (lock instanceof RunLock) {
      locks.push(lock);
      indices.push(index);
    } else print(leftTo(file, lock));
  }
  return {
    indices,
    release: () => {
      for (const lock of locks) lock.release();
    },
  };
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
  const lock = await lockOf(file);
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

async function lockOf(file: string): Promise<RunLock | LockOwner> {
  await makeFolder(dirname(file));
  return RunLock.tryTake(dirname(file), `${basename(file)}.lock`);
}

function leftTo(file: string, { owner }: LockOwner): string {
  return `${file}: left to ${owner}, which is at it`;
}
