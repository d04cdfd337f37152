/**
 * Which threads compute a short program: all of them, or this one alone. Meeting others costs microseconds where a core is free for each
 * thread, and milliseconds where it isn't, so this is measured, again and again: a run takes one way, and now and then some take the other.
 * It changes no bit of what they give.
 */
import { at } from "../../../graph/shape.ts";

/** Estimated instructions of a run up to which one thread may be faster: it then takes about two milliseconds. */
export const shortCost = 16e6;

/** Runs between trials of the other way: as many at first, twice as many after each that fails, up to the most. */
const interval = { first: 16, most: 256 };
/** Runs of a trial. The first isn't counted: it finds cold caches, and threads asleep. */
const trialRuns = 4;
/** The other way has to be faster by this factor. */
const gain = 0.93;
/** A way that has become slower by this factor is questioned at once. */
const loss = 1.5;

export class ThreadChoice {
  #isShared = true;
  /** What a run takes the way it is done now, about the median of the last ones; and what it took when this was chosen. */
  #typical: number | null = null;
  #chosenAt: number | null = null;
  #interval = interval.first;
  #left = interval.first;
  /** Times of the trial at hand; null if there is none. */
  #trial: number[] | null = null;

  /** Whether all threads compute the next run. */
  get isShared(): boolean {
    return this.#trial === null ? this.#isShared : !this.#isShared;
  }

  /** Learns from the time of a run that was done as `isShared` said. */
  measured(milliseconds: number): void {
    if (this.#trial === null) this.#goOn(milliseconds);
    else if (this.#trial.push(milliseconds) === trialRuns) this.#decide(this.#trial.slice(1));
  }

  #goOn(milliseconds: number): void {
    const before = this.#typical ?? milliseconds;
    // By a tenth towards each: half of them are above where it comes to rest, however far.
    const typical = milliseconds > before ? Math.min(milliseconds, before * 1.1) : Math.max(milliseconds, before / 1.1);
    this.#typical = typical;
    this.#left--;
    const isWorse = this.#chosenAt !== null && typical > loss * this.#chosenAt;
    if (isWorse) this.#interval = interval.first;
    if (isWorse || this.#left <= 0) this.#trial = [];
  }

  #decide(times: readonly number[]): void {
    const median = at(
      times.toSorted((a, b) => a - b),
      times.length >> 1,
    );
    const isBetter = median < gain * (this.#typical ?? Infinity);
    if (isBetter) {
      this.#isShared = !this.#isShared;
      this.#typical = median;
    }
    this.#interval = isBetter ? interval.first : Math.min(interval.most, 2 * this.#interval);
    this.#chosenAt = this.#typical;
    this.#left = this.#interval;
    this.#trial = null;
  }
}
