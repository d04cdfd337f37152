/**
 * Which bytes of an arena are taken when. Steps are the leaves of a binary tree whose nodes know what is taken at some step below
 * them, so that a life of any length is asked about, and entered, in a few nodes. What is taken for all steps below a node is handed
 * down when somebody asks there.
 */
import { at } from "../graph/shape.ts";

/** Steps, both included. */
export type Life = { readonly first: number; readonly last: number };

export class Arena {
  readonly #steps: number;
  /** By node: the root is 1, below node n are 2n and 2n + 1. */
  readonly #taken: (Ranges | undefined)[] = [];
  readonly #toHandDown: (Ranges | undefined)[] = [];
  readonly #work: Work = { comparisons: 0 };

  constructor(steps: number) {
    this.#steps = 2 ** Math.ceil(Math.log2(Math.max(1, steps)));
  }

  /** How often bytes were compared with taken ones. */
  get comparisons(): number {
    return this.#work.comparisons;
  }

  /** The lowest offset at which so many bytes are free for a whole life; they are taken from then on. */
  take(life: Life, bytes: number): number {
    const within: number[] = [];
    const above: number[] = [];
    this.#visit(1, 0, this.#steps, life, within, above);
    const taken: Ranges[] = [];
    for (const node of within) {
      const ranges = this.#taken[node];
      if (ranges !== undefined) taken.push(ranges);
    }
    let offset = 0;
    // All that is in the way has to be passed, in whichever order: the end is the same.
    for (let free = 0, next = 0; free < taken.length; next = (next + 1) % taken.length) {
      const end = at(taken, next).endOfFirst(offset, offset + bytes);
      if (end === undefined) free++;
      else [offset, free] = [end, 0];
    }
    for (const node of within) this.#at(this.#toHandDown, node).add(offset, offset + bytes);
    for (const node of within) this.#at(this.#taken, node).add(offset, offset + bytes);
    for (const node of above) this.#at(this.#taken, node).add(offset, offset + bytes);
    return offset;
  }

  /** Finds the largest nodes that have none but steps of the life below them, and those above these. */
  #visit(node: number, start: number, steps: number, life: Life, within: number[], above: number[]): void {
    const end = start + steps - 1;
    if (life.last < start || end < life.first) return;
    if (life.first <= start && end <= life.last) {
      within.push(node);
      return;
    }
    above.push(node);
    const handedDown = this.#toHandDown[node];
    if (handedDown !== undefined) {
      for (let below = 2 * node; below <= 2 * node + 1; below++) {
        this.#at(this.#toHandDown, below).addAll(handedDown);
        this.#at(this.#taken, below).addAll(handedDown);
      }
      this.#toHandDown[node] = undefined;
    }
    this.#visit(2 * node, start, steps / 2, life, within, above);
    this.#visit(2 * node + 1, start + steps / 2, steps / 2, life, within, above);
  }

  #at(ranges: (Ranges | undefined)[], node: number): Ranges {
    return (ranges[node] ??= new Ranges(this.#work));
  }
}

type Work = { comparisons: number };

/** Ranges in ascending order; those that touch are one. */
class Ranges {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  add(start: number, end: number): void {
    const from = this.#firstEnding(start);
    if (from === this.#starts.length) {
      this.#starts.push(start);
      this.#ends.push(end);
      return;
    }
    let [to, low, high] = [from, start, end];
    for (; to < this.#starts.length && at(this.#starts, to) <= end; to++) {
      this.#work.comparisons++;
      low = Math.min(low, at(this.#starts, to));
      high = Math.max(high, at(this.#ends, to));
    }
    this.#starts.splice(from, to - from, low);
    this.#ends.splice(from, to - from, high);
  }

  addAll(others: Ranges): void {
    others.#starts.forEach((start, index) => {
      this.add(start, at(others.#ends, index));
    });
  }

  /** The end of the first range that has something in common with start to end. */
  endOfFirst(start: number, end: number): number | undefined {
    const index = this.#firstEnding(start + 1);
    return index < this.#starts.length && at(this.#starts, index) < end ? at(this.#ends, index) : undefined;
  }

  /** The first range that ends at `least` or behind it. */
  #firstEnding(least: number): number {
    const ends = this.#ends;
    this.#work.comparisons++;
    // Most often what is asked for lies behind all ranges.
    let [low, high] = [0, ends.length];
    if (high === 0 || at(ends, high - 1) < least) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      this.#work.comparisons++;
      if (at(ends, middle) >= least) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The first of so many indices of which `holds` is true, as it is of all behind it; `length` if it is of none. */
export function firstIndex(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
