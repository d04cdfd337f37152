import { EvenkeelError } from "../../engine/index.ts";

const size = 624;
const shift = 397;

/**
 * NumPy's `RandomState`: the Mersenne Twister MT19937 (Matsumoto and Nishimura 1998) and the normal distribution by the polar
 * method, so that data drawn from published seeds are the same here. Float64, on the host.
 */
export class RandomState {
  readonly #words = new Uint32Array(size);
  #position = size;
  /** The polar method makes two normals at a time. */
  #spare: number | undefined;

  /** @throws EvenkeelError `range` unless `seed` is a whole number from 0 to 2^32 - 1. */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
      throw new EvenkeelError("range", `RandomState: seed ${seed} is not a whole number from 0 to 4294967295.`);
    }
    const words = this.#words;
    words[0] = seed;
    for (let i = 1; i < size; i++) {
      const last = words[i - 1] ?? 0;
      words[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
    }
  }

  /** The next 32 random bits. */
  bits(): number {
    if (this.#position === size) this.#twist();
    let word = this.#words[this.#position++] ?? 0;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  /** Uniform in [0, 1), with 53 bits. */
  uniform(): number {
    const high = this.bits() >>> 5;
    return (high * 0x4000000 + (this.bits() >>> 6)) / 0x20000000000000;
  }

  /** Standard normal. */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const squared = x * x + y * y;
      if (squared >= 1 || squared === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(squared)) / squared);
      this.#spare = factor * x;
      return factor * y;
    }
  }

  #twist(): void {
    const words = this.#words;
    for (let i = 0; i < size; i++) {
      const mixed = ((words[i] ?? 0) & 0x80000000) | ((words[(i + 1) % size] ?? 0) & 0x7fffffff);
      words[i] = (words[(i + shift) % size] ?? 0) ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.#position = 0;
  }
}
