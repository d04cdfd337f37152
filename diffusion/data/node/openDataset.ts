import type { ImageDataset, TrainingDataset } from "../dataset.ts";
import * as files from "../files/openDataset.ts";
import type { Reading } from "../files/reading.ts";
import { withFiles } from "./imageSource.ts";

/**
 * Reads a data set into memory: a zip or folder of PNGs of one size, square, grey or colour, with labels in `dataset.json` as the
 * reference has it; an IDX file of images such as Fashion-MNIST's (or a folder or zip of such files) with its labels beside it; or an
 * array of bytes in an `.npy` or `.npz` with its labels. Without `dataset.json` the sorted outermost folders are the classes, if there
 * are two or more that don't just split or number the images. Files that aren't of the set are told to `reading.notices`.
 * @throws EvenkeelError `file` that names the image that doesn't fit, and what to do.
 * @example
 * ```ts
 * import { makeFolder } from "evenkeel/engine/io/node";
 *
 * await makeFolder("pictures");
 * for (const name of ["a", "b"]) await writeImageGrid(`pictures/${name}.png`, new Float32Array(16), [1, 1, 4, 4], { padding: 0 });
 * const { count, resolution } = await openDataset("pictures");
 * console.log(count, resolution); // 2 4
 * ```
 */
export async function openDataset(path: string, reading: Partial<Reading> = {}): Promise<ImageDataset> {
  return withFiles(path, reading, files.openDataset);
}

/**
 * Reads pictures as `openDataset`, or latents: a folder or zip of arrays [8, H, H], means and deviations. @throws as `openDataset`.
 * @example
 * ```ts
 * import { createDataset, isLatent } from "evenkeel/diffusion/data";
 *
 * const pixels = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);
 * await writeDataset("two-pictures.zip", createDataset({ name: "two", channels: 1, resolution: 2, pixels, labels: null, classNames: null }));
 * const dataset = await openTrainingData("two-pictures.zip");
 * console.log(dataset.count, isLatent(dataset)); // 2 false
 * ```
 */
export async function openTrainingData(path: string, reading: Partial<Reading> = {}): Promise<TrainingDataset> {
  return withFiles(path, reading, files.openTrainingData);
}
