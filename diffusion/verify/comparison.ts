import { type StoredTensor, toFloat64 } from "../../engine/io/index.ts";
import type { Tensor } from "../../engine/index.ts";
import { type CheckClass, type Checks, roundingOf } from "./checks.ts";
import type { Fixture } from "./fixture.ts";

/** Compares what was computed with what a file has of it under a prefix: what the file leaves out is passed over. */
export class Comparison {
  readonly #fixture: Fixture;
  readonly #checks: Checks;
  readonly #prefix: string;

  constructor(fixture: Fixture, checks: Checks, prefix = "") {
    this.#fixture = fixture;
    this.#checks = checks;
    this.#prefix = prefix;
  }

  /** Whether the file has any of these. */
  has(...names: readonly string[]): boolean {
    return names.some((name) => this.#fixture.has(this.#prefix + name));
  }

  async tensor(name: string, actual: Tensor, as: CheckClass, rtol?: number): Promise<void> {
    if (this.has(name)) await this.#checks.tensor(this.#prefix + name, actual, this.#stored(name), as, rtol);
  }

  values(name: string, actual: ArrayLike<number>, as: CheckClass, rtol?: number): void {
    if (this.has(name)) this.#checks.values(this.#prefix + name, actual, this.#stored(name), as, rtol);
  }

  /** See `Checks.rows`. */
  rows(name: string, actual: ArrayLike<number>): void {
    if (this.has(name)) this.#checks.rows(this.#prefix + name, actual, this.#stored(name));
  }

  /** See `Checks.each`. */
  each(name: string, actual: ArrayLike<number>, rtol: number): void {
    if (!this.has(name)) return;
    const truth = this.#stored(name);
    this.#checks.each(this.#prefix + name, actual, toFloat64(truth), rtol + roundingOf(truth.dtype));
  }

  #stored(name: string): StoredTensor {
    return this.#fixture.stored(this.#prefix + name);
  }
}
