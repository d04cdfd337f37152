/**
 * A run in slices of some milliseconds, between which the event loop may have a turn. Slices end between records, and a long record
 * is cut between blocks of what its threads share, which changes no bit. How long a record takes is learnt from slices before.
 */
import type { Part } from "./records.ts";

/** Where a run stands: before a record, or at a place in it. */
export type Position = { readonly part: number; readonly place: number };

/** Records `first` to `last`, both included; if that is one, its places `begin` to `end` only. */
export type Slice = { readonly first: number; readonly last: number; readonly begin: number; readonly end: number };

/** Milliseconds of a rough instruction until it is measured: pessimistic, so that the first slices are too short. */
const firstGuess = 2e-6;
/** Clocks of pages are coarse; no record takes no time. */
const shortest = 1e-3;

export class Slicer {
  readonly #parts: readonly Part[];
  readonly #threads: number;
  readonly #milliseconds: number;
  /** Milliseconds that each record is expected to take. */
  readonly #expected: number[];

  /** @param milliseconds what a slice is to take at most; 0 for as many slices as there can be, Infinity for one. */
  constructor(parts: readonly Part[], threads: number, milliseconds: number) {
    this.#parts = parts;
    this.#threads = threads;
    this.#milliseconds = milliseconds;
    this.#expected = parts.map(({ cost }) => Math.max(shortest, cost * firstGuess));
  }

  /** The slice that begins there; null at the end of the run. */
  next({ part: first, place }: Position): Slice | null {
    const one = this.#parts[first];
    if (one === undefined) return null;
    const limit = this.#milliseconds;
    const whole = this.#expectedOf(first);
    let left = limit - (whole * (one.size - place)) / Math.max(1, one.size);
    if (place > 0 || left < 0) {
      // Every thread has a block at least.
      const unit = one.block * (one.isShared ? this.#threads : 1);
      const places = Math.max(1, Math.floor((one.size * limit) / whole / unit)) * unit;
      const end = left < 0 ? Math.min(one.size, place + places) : one.size;
      return { first, last: first, begin: place, end };
    }
    let last = first;
    while (last + 1 < this.#parts.length && left >= this.#expectedOf(last + 1)) left -= this.#expectedOf(++last);
    return { first, last, begin: 0, end: this.#parts[last]?.size ?? 0 };
  }

  /** Where the run goes on after a slice. */
  after({ last, end }: Slice): Position {
    return end < (this.#parts[last]?.size ?? 0) ? { part: last, place: end } : { part: last + 1, place: 0 };
  }

  /** Learns from the time that a slice took: more from a quick one, as on a busy machine some are slow by no fault of theirs. */
  measured({ first, last, begin, end }: Slice, milliseconds: number): void {
    let expected = 0;
    for (let part = first; part <= last; part++) expected += this.#expectedOf(part);
    if (first === last) expected *= (end - begin) / Math.max(1, this.#parts[first]?.size ?? 0);
    if (expected === 0) return;
    const ratio = Math.max(milliseconds, shortest) / expected;
    const factor = Math.min(4, Math.max(1 / 4, ratio > 1 ? ratio ** 0.25 : ratio ** 0.5));
    for (let part = first; part <= last; part++) {
      this.#expected[part] = Math.max(shortest, this.#expectedOf(part) * factor);
    }
  }

  #expectedOf(part: number): number {
    return this.#expected[part] ?? 0;
  }
}
