import type { HostBatch } from "../training/trainer.ts";
import { checkedIndex, type ImageDataset, labelDimOf } from "./dataset.ts";
import { ImageOrder } from "./order.ts";

/** 8-bit pixels to -1..1, as the reference has it: u8 / 127.5 - 1. */
const encodedPixels = Float32Array.from({ length: 256 }, (_, value) => Math.fround(Math.fround(value / 127.5) - 1));

/**
 * The images with these numbers as the network takes them, mirrored where `flipped` says so; labels one-hot.
 * @throws EvenkeelError `range` for a number that the data set doesn't have.
 */
export function gatherBatch(
  dataset: ImageDataset,
  indices: ArrayLike<number>,
  flipped: (place: number) => boolean = () => false,
): HostBatch {
  const { channels, resolution, pixels, labels } = dataset;
  const size = channels * resolution ** 2;
  const images = new Float32Array(indices.length * size);
  const labelDim = labelDimOf(dataset);
  const vectors = labels === null ? null : new Float32Array(indices.length * labelDim);
  for (let place = 0; place < indices.length; place++) {
    const index = checkedIndex(dataset, indices[place]);
    const mirrored = flipped(place);
    for (let row = 0; row < size; row += resolution) {
      const from = index * size + row + (mirrored ? resolution - 1 : 0);
      for (let x = 0; x < resolution; x++) {
        images[place * size + row + x] = encodedPixels[pixels[mirrored ? from - x : from + x] ?? 0] ?? 0;
      }
    }
    if (vectors === null || labels === null) continue;
    if (labels.kind === "classes") vectors[place * labelDim + (labels.values[index] ?? 0)] = 1;
    else vectors.set(labels.values.subarray(index * labelDim, (index + 1) * labelDim), place * labelDim);
  }
  return { images, labels: vectors };
}

/** The batches of a run: a pure function of the seed and the images seen. */
export function trainingBatches(
  dataset: ImageDataset,
  seed: number,
  xflip: boolean,
): (nimg: number, count: number) => HostBatch {
  const order = new ImageOrder(seed, dataset.count);
  return (nimg, count) =>
    gatherBatch(dataset, order.indices(nimg, count), (place) => xflip && order.isFlipped(nimg + place));
}

/** The first images of a data set as one batch, by default all: for validation. */
export function wholeBatch(dataset: ImageDataset, count = dataset.count): HostBatch {
  return gatherBatch(
    dataset,
    Uint32Array.from({ length: count }, (_, i) => i),
  );
}
