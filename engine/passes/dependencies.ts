/** Which steps of a plan wait for which. */
import type { PlanStep } from "../kernel/plan.ts";
import type { Overwrite } from "./places.ts";

export class Dependencies {
  /** By step: the steps it waits for, all of them before it, each once. */
  readonly before: readonly ReadonlySet<number>[];
  /** By step: the steps that wait for it. */
  readonly after: readonly (readonly number[])[];
  /** A row of bits for each step: what waits for it, at once or by others. */
  readonly #reach: Uint32Array;
  readonly #words: number;

  /** @param steps in an order of computation, of which each buffer is made by one at most and no temporaries share memory */
  constructor(steps: readonly PlanStep[], overwrites: readonly Overwrite[]) {
    const makers = new Map<number, number>();
    const readers = new Map<number, number[]>();
    const taken = new Map(overwrites.map(({ input, output }) => [output, input]));
    this.before = steps.map(({ operands, results, after: waits = [] }, step) => {
      const before = new Set([...operands, ...waits].flatMap((buffer) => makers.get(buffer) ?? []));
      for (const result of results) {
        for (const reader of readers.get(taken.get(result) ?? -1) ?? []) before.add(reader);
        makers.set(result, step);
      }
      for (const buffer of operands) {
        const known = readers.get(buffer);
        if (known === undefined) readers.set(buffer, [step]);
        else known.push(step);
      }
      return before;
    });
    const after: number[][] = steps.map(() => []);
    this.before.forEach((before, step) => before.forEach((other) => after[other]?.push(step)));
    this.after = after;
    this.#words = Math.ceil(steps.length / 32);
    this.#reach = new Uint32Array(steps.length * this.#words);
    for (let step = steps.length - 1; step >= 0; step--) {
      for (const next of after[step] ?? []) this.#addReach(step, next);
    }
  }

  /** Whether `later` can't be run before `step`. */
  waitsFor(later: number, step: number): boolean {
    return ((this.#reach[step * this.#words + (later >>> 5)] ?? 0) & (1 << (later & 31))) !== 0;
  }

  #addReach(step: number, next: number): void {
    const [row, from] = [step * this.#words, next * this.#words];
    for (let word = 0; word < this.#words; word++) {
      this.#reach[row + word] = (this.#reach[row + word] ?? 0) | (this.#reach[from + word] ?? 0);
    }
    this.#reach[row + (next >>> 5)] = (this.#reach[row + (next >>> 5)] ?? 0) | (1 << (next & 31));
  }
}
