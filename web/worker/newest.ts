/** Work of which only the newest counts: what is asked for next ends what goes on. */
export class Newest {
  #stop: AbortController | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** Does a task when the one before has ended; null if something newer was asked for meanwhile, or it was cancelled. */
  async run<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    this.cancel();
    const stop = new AbortController();
    this.#stop = stop;
    const mine = this.#turn.then(() => (stop.signal.aborted ? null : task(stop.signal)));
    this.#turn = mine.catch(() => undefined);
    try {
      return await mine;
    } catch (reason) {
      if (stop.signal.aborted) return null;
      throw reason;
    }
  }

  cancel(): void {
    this.#stop?.abort();
  }
}
