/** What holds a run between its steps; see `RunOptions.gate`. */
export type RunGate = {
  /**
   * Asked before every step, with the images seen in those before it.
   * @returns undefined: the step may begin at once. Else it begins when the promise is fulfilled; if that is rejected, the run ends with
   * its reason.
   */
  readonly pass: (nimg: number) => Promise<void> | undefined;
};

/** A gate that somebody opens and closes, and lets steps through one by one. For one run at a time. */
export class StepGate implements RunGate {
  #isPaused: boolean;
  /** Steps that were let through and haven't come by yet. */
  #due = 0;
  /** Lets the run on that waits here. */
  #open: (() => void) | undefined;

  /** @param isPaused whether it is closed to begin with. */
  constructor(isPaused = false) {
    this.#isPaused = isPaused;
  }

  /** Whether steps wait, but for those that `step` let through. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Holds the run before its next step. The step under way, and those that `step` let through, are made. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Lets all steps through. */
  resume(): void {
    this.#isPaused = false;
    this.#due = 0;
    this.#letOn();
  }

  /** Lets exactly one step through, beside those let through before, and pauses the run after it. */
  step(): void {
    this.#isPaused = true;
    if (!this.#letOn()) this.#due++;
  }

  /** For the run: see {@link RunGate}. */
  pass(): Promise<void> | undefined {
    if (!this.#isPaused) return undefined;
    if (this.#due > 0) {
      this.#due--;
      return undefined;
    }
    return new Promise((resolve) => (this.#open = resolve));
  }

  #letOn(): boolean {
    const open = this.#open;
    this.#open = undefined;
    open?.();
    return open !== undefined;
  }
}
