/**
 * Lets work on pictures begin only while they fit together: so many pixels at once, or one picture of more.
 */
export class PixelBudget {
  readonly #most: number;
  #taken = 0;
  readonly #waiting: { readonly pixels: number; readonly start: () => void }[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Does the work as soon as its pixels fit; those that came before go first. */
  async spend<T>(pixels: number, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.#waiting.push({ pixels, start });
      this.#startWaiting();
    });
    try {
      return await work();
    } finally {
      this.#taken -= pixels;
      this.#startWaiting();
    }
  }

  #startWaiting(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined || (this.#taken > 0 && this.#taken + next.pixels > this.#most)) return;
      this.#waiting.shift();
      this.#taken += next.pixels;
      next.start();
    }
  }
}
