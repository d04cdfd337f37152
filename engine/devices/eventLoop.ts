/**
 * Turns of the event loop. Devices that compute on this thread, or wait for threads, would otherwise let nothing else of the program
 * happen: an `await` of what is done already lets no timer, signal, message or click through.
 */
import { EvenkeelError } from "../errors.ts";

/**
 * Milliseconds of work after which the event loop has a turn, unless a device is told otherwise. Work that comes in pieces of up to one
 * and a half of it takes its turns twice as often, so that no two are further apart than two of it.
 */
export const turnMilliseconds = 10;

let lastTurn = performance.now();

/**
 * A turn of the event loop if the last that was taken here is half of `every` milliseconds ago: timers, signals and messages that are due
 * are served before it resolves. Undefined if it isn't time yet, so that nobody waits for nothing.
 * @example
 * ```ts
 * let turns = 0;
 * const end = performance.now() + 50;
 * while (performance.now() < end) {
 *   // Work of a few microseconds, and a turn now and then.
 *   const turn = eventLoopTurn();
 *   if (turn !== undefined) await turn.then(() => turns++);
 * }
 * console.log(turns > 1); // true
 * ```
 */
export function eventLoopTurn(every = turnMilliseconds): Promise<void> | undefined {
  return performance.now() - lastTurn < every / 2 ? undefined : takeTurn();
}

/**
 * Does work that pauses at places of its own, with turns of the event loop there. @throws EvenkeelError `aborted` at such a place.
 * @example
 * ```ts
 * function* count(): Generator<void, number> {
 *   for (let i = 0; i < 3; i++) yield;
 *   return 3;
 * }
 * console.log(await inTurns(count())); // 3
 * ```
 */
export async function inTurns<T>(work: Generator<void, T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    const turn = eventLoopTurn();
    if (turn === undefined) continue;
    await turn;
    throwIfAborted(signal);
  }
}

/**
 * Does such work without any turn.
 * @example
 * ```ts
 * function* count(): Generator<void, number> {
 *   for (let i = 0; i < 3; i++) yield;
 *   return 3;
 * }
 * console.log(atOnce(count())); // 3
 * ```
 */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

async function takeTurn(): Promise<void> {
  await new Promise<void>(macrotask);
  lastTurn = performance.now();
}

/** Calls back from a task of its own: in Node some microseconds later. Timers would take a millisecond, in pages four. */
const macrotask: (callback: () => void) => void =
  typeof setImmediate === "function" ? (callback) => void setImmediate(callback) : messages();

function messages(): (callback: () => void) => void {
  const waiting: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener("message", () => waiting.shift()?.());
  port1.start();
  return (callback) => {
    waiting.push(callback);
    port2.postMessage(null);
  };
}

const runAborted =
  "run: the signal given to this function is aborted. What it would have changed is as it was; " +
  "compile it again, with another signal, to go on.";

/**
 * @throws EvenkeelError `aborted`, with this message, if the signal says so.
 * @example
 * ```ts
 * try {
 *   throwIfAborted(AbortSignal.abort(), "stopped");
 * } catch (error) {
 *   console.log(messageOf(error)); // stopped
 * }
 * ```
 */
export function throwIfAborted(signal: AbortSignal | undefined, message = runAborted): void {
  if (signal?.aborted === true) throw new EvenkeelError("aborted", message, { cause: signal.reason });
}
