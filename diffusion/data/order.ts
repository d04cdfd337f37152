import { EvenkeelError } from "../../engine/index.ts";

/** A well-mixed 32-bit word of four: the finalizer of MurmurHash3 after each. */
function mix(a: number, b: number, c: number, d: number): number {
  let h = 0x9e3779b9;
  for (const word of [a, b, c, d]) {
    h = (h ^ word) >>> 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) >>> 0;
  }
  return h;
}

const purposes = { order: 1, flip: 2, holdOut: 3, latent: 4 } as const;

function wordsOf(seed: number): [number, number] {
  return [Math.floor(seed / 2 ** 32) >>> 0, seed >>> 0];
}

/** Numbers 0 to size - 1 in an order that is a function of the seed, the purpose and a number alone (Fisher and Yates). */
function shuffled(seed: number, purpose: number, number: number, size: number): Uint32Array {
  const [high, low] = wordsOf(seed);
  const key = mix(high, low, purpose, number);
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    // 53 random bits, so that no place is preferred noticeably.
    const random = (mix(key, number, i, 0) * 2 ** 21 + (mix(key, number, i, 1) >>> 11)) / 2 ** 53;
    const j = Math.floor(random * (i + 1));
    const swapped = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = swapped;
  }
  return order;
}

/**
 * The endless order of a data set: every image once an epoch, each epoch shuffled anew, as a function of the seed and the position
 * alone, so that it can be entered anywhere.
 */
export class ImageOrder {
  readonly #seed: number;
  readonly #size: number;
  /** The epochs last asked for; a batch touches two at most. */
  readonly #epochs = new Map<number, Uint32Array>();

  constructor(seed: number, size: number) {
    if (!Number.isInteger(size) || size < 1)
      throw new EvenkeelError("value", `ImageOrder: ${size} images; there must be one.`);
    this.#seed = seed;
    this.#size = size;
  }

  /** Numbers of the images at positions `start` to `start + count - 1`. */
  indices(start: number, count: number): Uint32Array {
    return Uint32Array.from({ length: count }, (_, i) => {
      const position = start + i;
      return this.#epoch(Math.floor(position / this.#size))[position % this.#size] ?? 0;
    });
  }

  #epoch(epoch: number): Uint32Array {
    const known = this.#epochs.get(epoch);
    if (known !== undefined) return known;
    const order = shuffled(this.#seed, purposes.order, epoch, this.#size);
    for (const old of this.#epochs.keys()) if (this.#epochs.size > 1) this.#epochs.delete(old);
    this.#epochs.set(epoch, order);
    return order;
  }

  /** Standard normals for the image at a position (Box and Muller), a function of the seed and the position alone. */
  normals(position: number, count: number): Float32Array {
    const [high, low] = wordsOf(this.#seed);
    const [positionHigh, positionLow] = wordsOf(position);
    const key = mix(mix(high, low, purposes.latent, 0), positionHigh, positionLow, 0);
    const normals = new Float32Array(count);
    for (let i = 0; i < count; i += 2) {
      // Never 0, of which there is no logarithm.
      const radius = Math.sqrt(-2 * Math.log((mix(key, i, 0, 0) + 0.5) / 2 ** 32));
      const angle = (2 * Math.PI * mix(key, i, 1, 0)) / 2 ** 32;
      normals[i] = radius * Math.cos(angle);
      if (i + 1 < count) normals[i + 1] = radius * Math.sin(angle);
    }
    return normals;
  }

  /** Whether the image at a position is mirrored: half of them are. */
  isFlipped(position: number): boolean {
    const [high, low] = wordsOf(this.#seed);
    const [positionHigh, positionLow] = wordsOf(position);
    return (mix(mix(high, low, purposes.flip, 0), positionHigh, positionLow, 0) & 1) === 1;
  }
}

/**
 * Image numbers of a training and a held-out set. Of each class the share is the same, up to rounding.
 * @throws EvenkeelError `value` if nothing would be left to train on.
 * @example
 * ```ts
 * const classes = [0, 0, 0, 0, 1, 1, 1, 1];
 * const { training, heldOut } = splitIndices(8, 2, 0, classes);
 * console.log(training.length, [...heldOut].map((image) => classes[image])); // 6 [ 0, 1 ]
 * ```
 */
export function splitIndices(
  count: number,
  heldOut: number,
  seed: number,
  classes: ArrayLike<number> | null,
): { readonly training: Uint32Array; readonly heldOut: Uint32Array } {
  if (!Number.isInteger(heldOut) || heldOut < 0 || heldOut >= count) {
    throw new EvenkeelError("value", `can't hold out ${heldOut} of ${count} images; some must be left to train on.`);
  }
  const order = [...shuffled(seed, purposes.holdOut, 0, count)];
  // Within a class an image's rank is spread over 0 to 1; the lowest `heldOut` are taken, the same share of every class.
  const seen = new Map<number, number>();
  const sizes = new Map<number, number>();
  const classOf = (i: number): number => classes?.[i] ?? 0;
  for (const i of order) sizes.set(classOf(i), (sizes.get(classOf(i)) ?? 0) + 1);
  const ranked = order.map((i) => {
    const rank = seen.get(classOf(i)) ?? 0;
    seen.set(classOf(i), rank + 1);
    return { i, rank: (rank + 0.5) / (sizes.get(classOf(i)) ?? 1) };
  });
  ranked.sort((a, b) => a.rank - b.rank || a.i - b.i);
  const numbers = ranked.map(({ i }) => i);
  const sorted = (list: readonly number[]): Uint32Array => Uint32Array.from(list).sort();
  return { heldOut: sorted(numbers.slice(0, heldOut)), training: sorted(numbers.slice(heldOut)) };
}
