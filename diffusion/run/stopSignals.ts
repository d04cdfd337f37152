/** Milliseconds within which signals are of one key press: npm passes on the Ctrl-C that the terminal has sent already. */
const onePress = 500;

/** Asks a run to stop after its step when a signal comes; a second signal, later than the first, ends the process at once. */
export class StopSignals {
  #signal: NodeJS.Signals | undefined;
  #time = 0;
  readonly #onFirst: (signal: NodeJS.Signals) => void;
  readonly #handle = (signal: NodeJS.Signals): void => {
    if (this.#signal === undefined) {
      this.#signal = signal;
      this.#time = performance.now();
      this.#onFirst(signal);
    } else if (performance.now() - this.#time > onePress) process.exit(signal === "SIGTERM" ? 143 : 130);
  };

  /** @param onFirst told of the first signal, e.g. to say that the step will be finished. */
  constructor(onFirst: (signal: NodeJS.Signals) => void) {
    this.#onFirst = onFirst;
    process.on("SIGINT", this.#handle);
    process.on("SIGTERM", this.#handle);
  }

  get requested(): boolean {
    return this.#signal !== undefined;
  }

  /** Signals do again what they did before. Idempotent. */
  dispose(): void {
    process.off("SIGINT", this.#handle);
    process.off("SIGTERM", this.#handle);
  }
}
