import type { HostBatch } from "../training/trainer.ts";
import { type ImageDataset, labelDimOf } from "./dataset.ts";
import { ImageOrder } from "./order.ts";

/** 8-bit pixels to -1..1, as the reference has it: u8 / 127.5 - 1. */
const encodedPixels = Float32Array.from({ length: 256 }, (_, value) => Math.fround(Math.fround(value / 127.5) - 1));

/** The images with these numbers as the network takes them, mirrored where `flipped` says so; labels one-hot. */
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
    const index = indices[place] ?? 0;
    const mirror = flipped(place);
    for (let i = 0; i < size; i++) {
      const column = i % resolution;
      const source = mirror ? i - column + (resolution - 1 - column) : i;
      images[place * size + i] = encodedPixels[pixels[index * size + source] ?? 0] ?? 0;
    }
    if (labels?.kind === "classes") vectors?.fill(1, ...oneAt(place * labelDim + (labels.values[index] ?? 0)));
    else if (labels !== null) {
      vectors?.set(labels.values.subarray(index * labelDim, (index + 1) * labelDim), place * labelDim);
    }
  }
  return { images, labels: vectors };
}

const oneAt = (place: number): [number, number] => [place, place + 1];

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
