import { constants } from "node:os";
import { removeUnfinishedFiles } from "../../engine/io/node.ts";
import { RunLock } from "./runLock.ts";

/** Milliseconds within which signals are of one key press: npm passes on the Ctrl-C that the terminal has sent already. */
const onePress = 500;

/** What asks a process to end: Ctrl-C, a supervisor, a terminal that is gone, and a reader of its output that is gone. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGPIPE";

/** Why a process ends: a signal, or what it prints can't be written (a full disk). */
export type StopReason = StopSignal | "output error";

const listened = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Ends a process in order when a signal asks for it. The first signal ends it at once, unless a task is at hand that ends by itself
 * when it is told; a second one, later than the first, ends it in any case. Whichever does: files that were being written are removed,
 * those that are there are whole, run folders are free again, and the exit code is 128 plus the signal's number, or 1 if it wasn't a signal.
 */
export class StopSignals {
  /** What is whole and what isn't when a signal ends the process now, and how to go on. */
  left = "The files that are there are whole.";
  readonly #print: (line: string) => void;
  #first: StopReason | undefined;
  #time = 0;
  #tell: ((reason: StopReason) => void) | undefined;
  readonly #handle = (signal: NodeJS.Signals): void => this.request(signal as StopSignal);

  /** @param print for what is said at the end. */
  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** Signals of this process end it in order from now on. */
  listen(): void {
    for (const signal of listened) process.on(signal, this.#handle);
  }

  /** What a process that was asked to stop ends with; undefined if it wasn't. */
  get exitCode(): number | undefined {
    return this.#first === undefined ? undefined : codeOf(this.#first);
  }

  /** As if the process had got this signal. */
  request(reason: StopReason): void {
    if (this.#first === undefined) {
      this.#first = reason;
      this.#time = performance.now();
      if (this.#tell === undefined) void this.#end(reason);
      else this.#tell(reason);
      // Every line that is printed fails again.
    } else if (reason !== "SIGPIPE" && reason !== "output error" && performance.now() - this.#time > onePress) {
      void this.#end(reason);
    }
  }

  /** Does a task that ends in order, and soon, once it is told of the first signal. */
  async during<T>(tell: (reason: StopReason) => void, task: () => Promise<T>): Promise<T> {
    this.#tell = tell;
    try {
      return await task();
    } finally {
      this.#tell = undefined;
    }
  }

  /** Signals do again what they did before. Idempotent. */
  dispose(): void {
    for (const signal of listened) process.off(signal, this.#handle);
  }

  async #end(reason: StopReason): Promise<never> {
    await removeUnfinishedFiles();
    RunLock.releaseAll();
    this.#print(`${reason}: stopped. ${this.left}`);
    process.exit(codeOf(reason));
  }
}

function codeOf(reason: StopReason): number {
  return reason === "output error" ? 1 : 128 + constants.signals[reason];
}
