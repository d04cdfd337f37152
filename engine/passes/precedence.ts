/** Which groups of steps come before which, while steps are still added to them. */

export class Precedence {
  readonly #words: number;
  /** A row of bits for each group: the groups that it waits for, at once or by others. */
  readonly #before: Uint32Array;

  /** @param most groups at most */
  constructor(most: number) {
    this.#words = Math.ceil(most / 32);
    this.#before = new Uint32Array(most * this.#words);
  }

  /** Whether a group can wait for these, and none of them for it; for itself it doesn't. */
  mayFollow(group: number, needed: ReadonlySet<number>): boolean {
    for (const other of needed) if (other !== group && this.#waits(other, group)) return false;
    return true;
  }

  /** Has a group wait for these, and with it those that wait for it. */
  follow(group: number, needed: ReadonlySet<number>): void {
    const row = group * this.#words;
    let isNew = false;
    for (const other of needed) {
      if (other === group || this.#waits(group, other)) continue;
      isNew = true;
      this.#add(group, other);
    }
    if (!isNew) return;
    for (let later = 0; later * this.#words < this.#before.length; later++) {
      if (!this.#waits(later, group)) continue;
      const rest = later * this.#words;
      for (let word = 0; word < this.#words; word++) {
        this.#before[rest + word] = (this.#before[rest + word] ?? 0) | (this.#before[row + word] ?? 0);
      }
    }
  }

  /** The first `count` groups, each behind those that it waits for, and else as they are numbered. */
  all(count: number): readonly number[] {
    const numbers = Array.from({ length: count }, (_, group) => group);
    const before = numbers.map((group) => numbers.filter((other) => this.#waits(group, other)));
    const done = new Set<number>();
    for (const group of numbers) {
      // Who waits for another waits for all that this one waits for, and so for more.
      const missing = [...(before[group] ?? []), group].filter((other) => !done.has(other));
      missing.sort((a, b) => (before[a] ?? []).length - (before[b] ?? []).length || a - b);
      for (const other of missing) done.add(other);
    }
    return [...done];
  }

  #waits(later: number, group: number): boolean {
    return ((this.#before[later * this.#words + (group >>> 5)] ?? 0) & (1 << (group & 31))) !== 0;
  }

  #add(group: number, other: number): void {
    const [row, from] = [group * this.#words, other * this.#words];
    for (let word = 0; word < this.#words; word++) {
      this.#before[row + word] = (this.#before[row + word] ?? 0) | (this.#before[from + word] ?? 0);
    }
    this.#before[row + (other >>> 5)] = (this.#before[row + (other >>> 5)] ?? 0) | (1 << (other & 31));
  }
}
