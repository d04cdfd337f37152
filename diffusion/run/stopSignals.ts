/** Asks a run to stop after its step when a signal comes; a second signal ends the process at once. */
export class StopSignals {
  #signal: NodeJS.Signals | undefined;
  readonly #onFirst: (signal: NodeJS.Signals) => void;
  readonly #handle = (signal: NodeJS.Signals): void => {
    if (this.#signal !== undefined) process.exit(signal === "SIGTERM" ? 143 : 130);
    this.#signal = signal;
    this.#onFirst(signal);
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

  /** Signals do again what they did before. */
  dispose(): void {
    process.off("SIGINT", this.#handle);
    process.off("SIGTERM", this.#handle);
  }
}
