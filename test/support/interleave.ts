/** Random interleavings, and whether what came of them could have come of some sequence. */
import fc, { type Scheduler } from "fast-check";
import { EvenkeelError, type ErrorCode } from "../../engine/index.ts";

export type Outcome<Value> =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "error"; readonly code: ErrorCode };

/** What becomes of a promise. Only errors of the engine's own family are outcomes. */
export async function outcomeOf<Value>(promise: Promise<Value>): Promise<Outcome<Value>> {
  try {
    return { kind: "value", value: await promise };
  } catch (reason) {
    if (reason instanceof EvenkeelError) return { kind: "error", code: reason.code };
    throw reason;
  }
}

/** No work of these tests keeps everything waiting for so long. */
const hang = 20_000;

/** Lets the scheduler go on until the work is done. @throws if nothing happens any more and it isn't */
export async function settle<Value>(scheduler: Scheduler, work: Promise<Value>): Promise<Value> {
  const progress = { isOver: false };
  const over = (): void => void (progress.isOver = true);
  work.then(over, over);
  let last = performance.now();
  while (!progress.isOver) {
    if (scheduler.count() > 0) {
      await scheduler.waitNext(1);
      last = performance.now();
    } else {
      await new Promise((resolve) => setImmediate(resolve));
      if (performance.now() - last > hang)
        throw new Error(`nothing happens any more. Schedule:\n${fc.stringify(scheduler)}`);
    }
  }
  return work;
}

/**
 * Whether the outcomes are those of some order in which one event follows the other. `next` gives the states that an event may leave
 * if it finds `state` and has its known outcome; none if that outcome can't be.
 */
export function isSequential<State, Event>(
  start: State,
  events: readonly Event[],
  next: (state: State, event: Event) => readonly State[],
  isEnd: (state: State) => boolean,
): boolean {
  const seen = new Set<string>();
  const search = (state: State, done: number): boolean => {
    const key = `${done} ${JSON.stringify(state)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    if (done === 2 ** events.length - 1) return isEnd(state);
    return events.some(
      (event, i) => (done & (1 << i)) === 0 && next(state, event).some((after) => search(after, done | (1 << i))),
    );
  };
  return search(start, 0);
}
