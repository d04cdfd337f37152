/**
 * Temporaries that have to lie in one memory, because one step that is made of several touches them at one of its places. No step may
 * write where it reads something else: such memory can't be bound to read and to write.
 */
import type { PlanStep } from "../kernel/plan.ts";

export class Bundles {
  readonly #isTemporary: (buffer: number) => boolean;
  readonly #members = new Map<number, readonly number[]>();
  readonly #bundleOf = new Map<number, number>();
  /** Of each temporary those that a step writes where it reads it, or the other way round. */
  readonly #apart = new Map<number, Set<number>>();

  constructor(steps: readonly PlanStep[], isTemporary: (buffer: number) => boolean) {
    this.#isTemporary = isTemporary;
    const part = (one: number, other: number): void => {
      const known = this.#apart.get(one);
      if (known === undefined) this.#apart.set(one, new Set([other]));
      else known.add(other);
    };
    for (const { operands, results } of steps) {
      for (const result of results.filter(isTemporary)) {
        for (const operand of operands.filter(isTemporary)) {
          part(result, operand);
          part(operand, result);
        }
      }
    }
  }

  /** The temporaries that lie with others, each once, in the order in which they came. */
  get all(): readonly (readonly number[])[] {
    return [...this.#members.values()].filter((members) => members.length > 1);
  }

  /**
   * Brings together what stands in a row, row by row; says whether that can be, and does nothing if it can't.
   * @param rows buffers that are to lie in one memory. What isn't temporary lies where it lies.
   */
  join(rows: readonly (readonly number[])[]): boolean {
    const before = [new Map(this.#members), new Map(this.#bundleOf)] as const;
    for (const row of rows) {
      const [first, ...others] = row.filter(this.#isTemporary);
      if (first === undefined || others.every((other) => this.#joinTwo(first, other))) continue;
      this.#restore(before);
      return false;
    }
    return true;
  }

  #joinTwo(one: number, other: number): boolean {
    const [into, from] = [this.#bundle(one), this.#bundle(other)];
    if (into === from) return true;
    const [members, added] = [this.#members.get(into) ?? [], this.#members.get(from) ?? []];
    const isApart = added.some((buffer) =>
      [...(this.#apart.get(buffer) ?? [])].some((enemy) => this.#bundleOf.get(enemy) === into || enemy === one),
    );
    if (isApart) return false;
    for (const buffer of added) this.#bundleOf.set(buffer, into);
    this.#members.set(into, [...members, ...added]);
    this.#members.delete(from);
    return true;
  }

  #bundle(buffer: number): number {
    const known = this.#bundleOf.get(buffer);
    if (known !== undefined) return known;
    this.#bundleOf.set(buffer, buffer);
    this.#members.set(buffer, [buffer]);
    return buffer;
  }

  #restore([members, bundleOf]: readonly [Map<number, readonly number[]>, Map<number, number>]): void {
    this.#members.clear();
    members.forEach((value, key) => this.#members.set(key, value));
    this.#bundleOf.clear();
    bundleOf.forEach((value, key) => this.#bundleOf.set(key, value));
  }
}
