/**
 * Waiting for a CPU that acts for a GPU, in Node. Who waits for WebGPU there asks it once in each turn of the event loop, and the turns follow
 * each other without a pause: that takes a core, which the threads need that compute. So turns are given pauses, the longer the longer the
 * wait has been.
 */

/** Waits for work that others do. */
export type Waiting = <T>(work: Promise<T>) => Promise<T>;

/** Of the time that a wait has taken: what is waited for is noticed later by no more. */
const share = 1 / 8;
/** In milliseconds. Below the shortest a pause isn't worth its system call; the longest is for timers and signals. */
const shortest = 0.5;
const longest = 5;

/** Waits with pauses in all turns of the event loop, for as long as any of its waits lasts. */
export function sparingWaits(): Waiting {
  const word = new Int32Array(new SharedArrayBuffer(4));
  /** When each wait began, the first one first. */
  const begun = new Map<symbol, number>();
  // A wait may begin before the turn behind the last one has come: that one goes on with it.
  let isTurning = false;
  const turn = (): void => {
    const [oldest] = begun.values();
    isTurning = oldest !== undefined;
    if (oldest === undefined) return;
    const pause = Math.min(longest, share * (performance.now() - oldest));
    if (pause >= shortest) Atomics.wait(word, 0, 0, pause);
    setImmediate(turn);
  };
  return async (work) => {
    const wait = Symbol();
    if (!isTurning) setImmediate(turn);
    isTurning = true;
    begun.set(wait, performance.now());
    try {
      return await work;
    } finally {
      begun.delete(wait);
    }
  };
}

/** Waits as everything is waited for. */
export const plainWaits: Waiting = (work) => work;
