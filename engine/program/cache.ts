/** A bounded map that forgets what was used longest ago. */
export class LeastRecentlyUsed<Value> {
  readonly #limit: number;
  readonly #onEvict: (value: Value, evictions: number) => void;
  readonly #values = new Map<string, Value>();
  #evictions = 0;

  constructor(limit: number, onEvict: (value: Value, evictions: number) => void) {
    this.#limit = limit;
    this.#onEvict = onEvict;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) {
      this.#values.delete(key);
      this.#values.set(key, value);
    }
    return value;
  }

  set(key: string, value: Value): void {
    this.#values.set(key, value);
    for (const [oldest, old] of this.#values) {
      if (this.#values.size <= this.#limit) break;
      this.#values.delete(oldest);
      this.#onEvict(old, ++this.#evictions);
    }
  }

  /** Forgets the values for which `condition` holds and gives them back. That isn't an eviction. */
  deleteWhere(condition: (value: Value) => boolean): Value[] {
    const found = [...this.#values].filter(([, value]) => condition(value));
    for (const [key] of found) this.#values.delete(key);
    return found.map(([, value]) => value);
  }

  /** Forgets everything and gives it back. */
  clear(): Value[] {
    return this.deleteWhere(() => true);
  }
}
