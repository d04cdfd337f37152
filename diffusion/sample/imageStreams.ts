import {
  compile,
  type Compiled,
  type DeviceChoice,
  EvenkeelError,
  foldIn,
  randomBits,
  randomNormal,
  type Shape,
  type Tensor,
  tensor,
} from "../../engine/index.ts";

/** The uses of an image's seed, each with numbers of its own. */
const uses = { noise: 0, label: 1, churn: 2 } as const;

/**
 * Random numbers of images, each a function of its image's seed alone: not of the batch, the shard or the order.
 * The random bits, and so the classes, are the same on every device. The normals differ between devices by rounding, 1e-6 at
 * most; on one device they are equal bit for bit whatever the batch.
 */
export type ImageStreams = {
  /** Standard normals for the start: one image of `imageShape` a seed. */
  noise(seeds: readonly number[]): Promise<Float32Array>;
  /** Standard normals for the churn of step `index`. */
  churnNoise(seeds: readonly number[], index: number): Promise<Float32Array>;
  /** A class from 0 to count - 1 for each seed, all equally likely up to count / 2^32. */
  classes(seeds: readonly number[], count: number): Promise<readonly number[]>;
  /** Frees the device memory of the programs. */
  dispose(): void;
};

/** Keys [N, 2] of N seeds. @throws EvenkeelError `value` for a seed that isn't a whole number from 0 to 2^53. */
function keysOf(seeds: readonly number[]): Tensor {
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

/** Makes the random numbers of images of `imageShape` (C, H, W) on a device. */
export function createImageStreams(imageShape: Shape, device?: DeviceChoice): ImageStreams {
  const options = device === undefined ? {} : { device };
  // Use and index are tensors, so that one program serves them all.
  const keyed = (keys: Tensor, use: Tensor, index: Tensor): Tensor => foldIn(foldIn(keys, use), index);
  const normals = compile(
    (keys: Tensor, use: Tensor, index: Tensor) => randomNormal(keyed(keys, use, index), imageShape),
    options,
  );
  const bits = compile((keys: Tensor, use: Tensor, index: Tensor) => randomBits(keyed(keys, use, index), []), options);
  type Program = Compiled<[Tensor, Tensor, Tensor], Tensor>;
  const run = async (program: Program, seeds: readonly number[], use: number, index: number) => {
    const number = (value: number): Tensor => tensor(new Uint32Array([value]), { shape: [] });
    return (await program(keysOf(seeds), number(use), number(index))).data();
  };
  const drawNormals = async (seeds: readonly number[], use: number, index: number): Promise<Float32Array> => {
    const data = await run(normals, seeds, use, index);
    return data instanceof Float32Array ? data : new Float32Array(data);
  };
  return {
    noise: (seeds) => drawNormals(seeds, uses.noise, 0),
    churnNoise: (seeds, index) => drawNormals(seeds, uses.churn, index),
    async classes(seeds, count) {
      if (!Number.isInteger(count) || count < 1) {
        throw new EvenkeelError("value", `classes: count ${count} is not a whole number of at least 1.`);
      }
      const data = await run(bits, seeds, uses.label, 0);
      return Array.from(data, (value) => Math.floor((value * count) / 2 ** 32));
    },
    dispose() {
      normals.dispose();
      bits.dispose();
    },
  };
}
