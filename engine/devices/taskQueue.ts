/** Tasks of a device one after the other, in the order in which they are asked for. None may wait for another of the same queue. */
export class TaskQueue {
  /** The end of the last task that was asked for; null if none is waiting or running. */
  #last: Promise<void> | null = null;

  /** Runs `task` when those before it are over; resolves or rejects as it does. */
  run<T>(task: () => T | Promise<T>): Promise<T> {
    const result = (this.#last ?? Promise.resolve()).then(task);
    const over = (): void => {
      if (this.#last === last) this.#last = null;
    };
    const last = result.then(over, over);
    this.#last = last;
    return result;
  }

  /** Tidies up what tasks may use: at once if there are none, else after those that were asked for. */
  tidy(work: () => void): void {
    if (this.#last === null) work();
    else void this.run(work);
  }
}
