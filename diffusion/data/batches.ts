import { drawLatents, vaeWhitening } from "../encoding/index.ts";
import {
  checkedIndex,
  type ImageDataset,
  isLatent,
  labelDimOf,
  type LatentDataset,
  type TrainingDataset,
} from "./dataset.ts";
import type { HostBatch } from "./hostBatch.ts";
import { ImageOrder } from "./order.ts";

/** 8-bit pixels to -1..1, as the reference has it: u8 / 127.5 - 1. */
const encodedPixels = Float32Array.from({ length: 256 }, (_, value) => Math.fround(Math.fround(value / 127.5) - 1));

/** What is random about how images are used. */
export type Drawing = {
  /** Which places of the batch are mirrored. Default: none. */
  readonly isFlipped?: (place: number) => boolean;
  /** The standard normals of a place, by which its latent is drawn. Default: zeros, so that a latent is its mean. */
  readonly noise?: (place: number, size: number) => Float32Array;
};

/**
 * The images with these numbers as the network takes them, mirrored or drawn as `drawing` says; labels one-hot. Latents are whitened
 * as those of the reference's VAE.
 * @throws EvenkeelError `range` for a number that the data set doesn't have, `value` for latents of other than four channels.
 * @example
 * ```ts
 * const pixels = Uint8Array.of(0, 255, 255, 255, 0, 0, 0, 0);
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels, labels: [0, 1], classNames: ["a", "b"] });
 * const { images, labels } = gatherBatch(dataset, [0], { isFlipped: () => true });
 * console.log(images, labels); // Float32Array(4) [ 1, -1, 1, 1 ] Float32Array(2) [ 1, 0 ]
 * ```
 */
export function gatherBatch(
  dataset: TrainingDataset,
  indices: ArrayLike<number>,
  { isFlipped = () => false, noise = (_, size) => new Float32Array(size) }: Drawing = {},
): HostBatch {
  const { channels, resolution, labels } = dataset;
  const size = channels * resolution ** 2;
  const images = new Float32Array(indices.length * size);
  const labelDim = labelDimOf(dataset);
  const vectors = labels === null ? null : new Float32Array(indices.length * labelDim);
  for (let place = 0; place < indices.length; place++) {
    const index = checkedIndex(dataset, indices[place]);
    const target = images.subarray(place * size, (place + 1) * size);
    if (isLatent(dataset)) target.set(latentOf(dataset, index, noise(place, size)));
    else writePixels(target, dataset, index, isFlipped(place));
    if (vectors === null || labels === null) continue;
    if (labels.kind === "classes") vectors[place * labelDim + (labels.values[index] ?? 0)] = 1;
    else vectors.set(labels.values.subarray(index * labelDim, (index + 1) * labelDim), place * labelDim);
  }
  return { images, labels: vectors };
}

function writePixels(target: Float32Array, dataset: ImageDataset, index: number, isMirrored: boolean): void {
  const { resolution, pixels } = dataset;
  for (let row = 0; row < target.length; row += resolution) {
    const from = index * target.length + row + (isMirrored ? resolution - 1 : 0);
    for (let x = 0; x < resolution; x++) {
      target[row + x] = encodedPixels[pixels[isMirrored ? from - x : from + x] ?? 0] ?? 0;
    }
  }
}

function latentOf(
  { channels, resolution, meanAndDeviation }: LatentDataset,
  index: number,
  noise: Float32Array,
): Float32Array {
  const stored = meanAndDeviation.subarray(2 * index * noise.length, 2 * (index + 1) * noise.length);
  return drawLatents(stored, noise, [1, channels, resolution, resolution], vaeWhitening());
}

/**
 * The batches of a run: a pure function of the seed and the images seen.
 * @example
 * ```ts
 * const batchAt = trainingBatches(createDataset({ name: "two", channels: 1, resolution: 2, pixels: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [0, 1], classNames: ["a", "b"] }), 0, false);
 * console.log(batchAt(0, 4).images.length); // 16
 * ```
 */
export function trainingBatches(
  dataset: TrainingDataset,
  seed: number,
  xflip: boolean,
): (nimg: number, count: number) => HostBatch {
  const order = new ImageOrder(seed, dataset.count);
  return (nimg, count) =>
    gatherBatch(dataset, order.indices(nimg, count), {
      isFlipped: (place) => xflip && order.isFlipped(nimg + place),
      noise: (place, size) => order.normals(nimg + place, size),
    });
}

/**
 * The first images of a data set as one batch, by default all: for validation. Of latents the means.
 * @example
 * ```ts
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [0, 1], classNames: ["a", "b"] });
 * console.log(wholeBatch(dataset).images.length); // 8
 * ```
 */
export function wholeBatch(dataset: TrainingDataset, count = dataset.count): HostBatch {
  return gatherBatch(
    dataset,
    Uint32Array.from({ length: count }, (_, i) => i),
  );
}
