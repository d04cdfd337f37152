/** Tasks one after the other, in the order of their calls. A task that finds nothing before it runs at once. */
export class Turns {
  #last: Promise<void> | null = null;

  /** True if no task is waiting or running. */
  get idle(): boolean {
    return this.#last === null;
  }

  /** Runs `task` when it is its turn; resolves or rejects as it does. */
  take<T>(task: () => T | Promise<T>): Promise<T> {
    if (this.#last !== null) return this.#append(this.#last.then(task));
    let outcome: T | Promise<T>;
    try {
      outcome = task();
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    return outcome instanceof Promise ? this.#append(outcome) : Promise.resolve(outcome);
  }

  #append<T>(outcome: Promise<T>): Promise<T> {
    const settled = (): void => {
      if (this.#last === turn) this.#last = null;
    };
    const turn = outcome.then(settled, settled);
    this.#last = turn;
    return outcome;
  }
}
