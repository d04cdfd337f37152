/**
 * Random numbers of images, each a function of its image's seed alone: not of the batch, the shard or the order. The random bits, and
 * so the classes, are the same on every device. The normals differ between devices by rounding, 1e-6 at most; on one device they are
 * equal bit for bit whatever the batch.
 */
import {
  compile,
  EvenkeelError,
  foldIn,
  randomBits,
  randomNormal,
  type Shape,
  type Tensor,
  tensor,
} from "../../engine/index.ts";
import { studentNoise } from "../network/index.ts";

/** The uses of an image's seed, each with numbers of its own. */
const uses = { noise: 0, label: 1, churn: 2, tails: 3, dropout: 4 } as const;

/**
 * Keys [N, 2] of N seeds. @throws EvenkeelError `value` for a seed that isn't a whole number from 0 to 2^53.
 * @example console.log(await imageKeys([0, 7]).array()); // [ [ 0, 0 ], [ 0, 7 ] ]
 */
export function imageKeys(seeds: readonly number[]): Tensor {
  const words = new Uint32Array(2 * seeds.length);
  for (const [i, seed] of seeds.entries()) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new EvenkeelError("value", `seed ${seed} is not a whole number from 0 to 2^53.`);
    }
    words[2 * i] = Math.floor(seed / 2 ** 32);
    words[2 * i + 1] = seed % 2 ** 32;
  }
  return tensor(words, { shape: [seeds.length, 2] });
}

/**
 * Noise for the start [N, ...imageShape], of keys [N, 2]: a function in the graph. Standard normals, or Student-t noise of them for a network
 * that was trained on it.
 * @param noiseDf its degrees of freedom; 0: Gaussian noise.
 * @example console.log(await startNoise(imageKeys([7]), [1, 1, 2]).reshape([2]).array()); // [ 0.3380, -0.9901 ]
 */
export function startNoise(keys: Tensor, imageShape: Shape, noiseDf = 0): Tensor {
  const normals = randomNormal(foldIn(foldIn(keys, uses.noise), 0), imageShape);
  return studentNoise(normals, foldIn(foldIn(keys, uses.tails), 0), noiseDf);
}

/**
 * Standard normals for the churn of a step, a u32 scalar: a function in the graph.
 * @example
 * ```ts
 * import { scalar } from "evenkeel/engine";
 *
 * const [first, second] = [0, 1].map((step) => churnNoise(imageKeys([7]), scalar(step, "u32"), [1, 1, 2]));
 * console.log(await first?.reshape([2]).array(), await second?.reshape([2]).array()); // [ -0.9652, 0.7364 ] [ -0.8333, 0.0273 ]
 * ```
 */
export function churnNoise(keys: Tensor, step: Tensor, imageShape: Shape): Tensor {
  return randomNormal(foldIn(foldIn(keys, uses.churn), step), imageShape);
}

/**
 * Keys [N, 2] of what is dropped in a step, a u32 scalar, by networks with dropout on: a function in the graph.
 * @example
 * ```ts
 * import { scalar } from "evenkeel/engine";
 *
 * console.log(dropoutKeys(imageKeys([7, 8]), scalar(0, "u32")).shape); // [ 2, 2 ]
 * ```
 */
export function dropoutKeys(keys: Tensor, step: Tensor): Tensor {
  return foldIn(foldIn(keys, uses.dropout), step);
}

/**
 * A class from 0 to count - 1 for each seed, all equally likely up to count / 2^32. Drawn by the host: labels must be known before the
 * device has anything to do.
 * @example console.log(await drawClasses([0, 1, 2, 3], 10)); // [ 2, 9, 5, 4 ]
 */
export async function drawClasses(seeds: readonly number[], count: number): Promise<readonly number[]> {
  if (!Number.isInteger(count) || count < 1) {
    throw new EvenkeelError("value", `classes: count ${count} is not a whole number of at least 1.`);
  }
  const draw = compile((keys: Tensor) => randomBits(foldIn(foldIn(keys, uses.label), 0), []), { device: "oracle" });
  try {
    const bits = await (await draw(imageKeys(seeds))).data();
    return Array.from(bits, (value) => Math.floor((value * count) / 2 ** 32));
  } finally {
    draw.dispose();
  }
}
