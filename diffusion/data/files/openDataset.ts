import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { vaeChannels } from "../../encoding/index.ts";
import {
  checkedLabels,
  createDataset,
  type ImageDataset,
  isLatent,
  type LatentDataset,
  type TrainingDataset,
} from "../dataset.ts";
import { inOrder, readArrayImages } from "./arrayImages.ts";
import type { ArrayFiles } from "./chooseArrays.ts";
import { contentsOf } from "./contents.ts";
import { type DecodedImage, decodePng } from "./decodePng.ts";
import { endingOf } from "./fileKinds.ts";
import { readIdx } from "./idxFile.ts";
import { type FileSource, titleOf } from "./fileSource.ts";
import { readLabels } from "./labels.ts";
import { numbersOfNpy, parseNpy } from "./npyFile.ts";
import { type Reading, readingOf } from "./reading.ts";

const advice = "npx evenkeel dataset convert makes images of one size and kind";

/**
 * Reads a data set into memory: PNGs of one size, square, grey or colour, with labels in `dataset.json` as the reference has it; an IDX file
 * of images such as Fashion-MNIST's with its labels beside it; or an array of bytes in an `.npy` with its labels. Without `dataset.json` the
 * sorted outermost folders are the classes, if there are two or more that don't just split or number the images. Files that aren't of the set
 * are told to `reading.notices`. The source stays open.
 * @throws EvenkeelError `file` that names the image that doesn't fit, and what to do.
 * @example
 * ```ts
 * import { encodePng } from "evenkeel/diffusion/sample";
 *
 * const png = new Blob([new Uint8Array(encodePng({ width: 2, height: 2, channels: 1, data: Uint8Array.of(0, 1, 2, 3) }))]);
 * const source = blobSource("dropped", [{ path: "a.png", blob: png }]);
 * console.log((await openDataset(source)).pixels); // Uint8Array(4) [ 0, 1, 2, 3 ]
 * ```
 */
export async function openDataset(source: FileSource, reading: Partial<Reading> = {}): Promise<ImageDataset> {
  const dataset = await open(source, reading, false);
  if (isLatent(dataset)) throw new Error(`${source.name} was read as latents`);
  return dataset;
}

/**
 * Reads pictures as `openDataset`, or latents: arrays [8, H, H], means and deviations. @throws as `openDataset`.
 * @example
 * ```ts
 * const npy = new Blob(encodeNpy(new Float32Array(8 * 16).fill(1), [8, 4, 4]).map((part) => new Uint8Array(part)));
 * const source = blobSource("encoded", [{ path: "00000/img-mean-std-00000000.npy", blob: npy }]);
 * const data = await openTrainingData(source);
 * console.log(isLatent(data), data.channels, data.resolution); // true 4 4
 * ```
 */
export async function openTrainingData(source: FileSource, reading: Partial<Reading> = {}): Promise<TrainingDataset> {
  return open(source, reading, true);
}

async function open(source: FileSource, reading: Partial<Reading>, mayBeLatents: boolean): Promise<TrainingDataset> {
  const whole = readingOf(reading);
  const title = titleOf(source);
  const contents = await contentsOf(source, whole.notices);
  switch (contents.form) {
    case "pictures":
      return await openPngs(title, source, contents.files, whole);
    case "idx": {
      const { images, labels } = await readIdx(source, contents.images, contents.labels);
      const [, height = 0, width = 0] = images.shape;
      const name = source.nameOf(contents.images);
      requireSquare(name, width, height);
      return createDataset({ name: title, channels: 1, resolution: width, pixels: images.data, labels });
    }
    case "array":
      return await openArray(title, source, contents, whole);
    case "latents":
      if (mayBeLatents) return await openLatents(title, source, contents.files, whole);
      throw new EvenkeelError(
        "file",
        `${title} holds the latents of ${contents.files.length} pictures (${contents.files[0]}, ...), expected pictures; they are those once their VAE has decoded them.`,
      );
  }
}

/** Latents as the reference's `dataset encode` stores them: of each picture an array of means, then deviations. */
async function openLatents(
  title: string,
  source: FileSource,
  files: readonly string[],
  reading: Reading,
): Promise<LatentDataset> {
  const { images, labels, classNames } = await readLabels(source, files, reading.notices);
  let [channels, resolution] = [0, 0];
  let all = new Float32Array(0);
  for (const [i, file] of images.entries()) {
    const name = source.nameOf(file);
    const array = parseNpy(await source.read(file), name);
    const [stored = 0, height = 0, width = 0] = array.shape;
    if (array.shape.length !== 3 || stored !== 2 * vaeChannels || height !== width) {
      throw new EvenkeelError(
        "file",
        `${name} is [${array.shape.join(", ")}], expected [${2 * vaeChannels}, H, H]: ${vaeChannels} channels of means, then as many of ` +
          "deviations, as the reference's `dataset encode` writes them.",
      );
    }
    const values = numbersOfNpy(array, name);
    if (i === 0) {
      [channels, resolution] = [stored / 2, width];
      all = new Float32Array(allocate(4 * images.length * values.length, source.name).buffer);
    }
    if (width !== resolution) {
      throw new EvenkeelError("file", `${name} is ${width}x${height}, others are ${resolution}x${resolution}.`);
    }
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new EvenkeelError("file", `${name}: number ${bad} is ${values[bad]}, expected finite ones.`);
    all.set(values, i * values.length);
    reading.onProgress(`reading ${source.name}`, i + 1, images.length);
  }
  const count = images.length;
  return {
    name: title,
    count,
    channels,
    resolution,
    meanAndDeviation: all,
    labels: checkedLabels({ name: title, count, labels, classNames }),
    classNames,
  };
}

async function openPngs(
  title: string,
  source: FileSource,
  files: readonly string[],
  reading: Reading,
): Promise<ImageDataset> {
  const others = files.filter((file) => endingOf(file) !== ".png");
  if (others.length > 0) {
    throw new EvenkeelError(
      "file",
      `${title}: ${others[0]} is no PNG${others.length > 1 ? `, nor are ${others.length - 1} others` : ""}. ${advice}.`,
    );
  }
  const { images, labels, classNames } = await readLabels(source, files, reading.notices);
  return createDataset({ name: title, ...(await readImages(source, images, reading)), labels, classNames });
}

async function openArray(
  title: string,
  source: FileSource,
  files: ArrayFiles,
  { notices }: Reading,
): Promise<ImageDataset> {
  const images = await readArrayImages(source, files, notices);
  const { width, height, channels, labels } = images;
  requireSquare(title, width, height);
  if (channels === 4) throw new EvenkeelError("file", `${title} has 4 channels, expected grey or colour. ${advice}.`);
  return createDataset({ name: title, channels, resolution: width, pixels: await inOrder(images, true), labels });
}

function requireSquare(name: string, width: number, height: number): void {
  if (width !== height) throw new EvenkeelError("file", `${name} holds images of ${width}x${height}. ${advice}.`);
}

async function readImages(
  source: FileSource,
  files: readonly string[],
  { onProgress }: Reading,
): Promise<{ channels: number; resolution: number; pixels: Uint8Array }> {
  let pixels = new Uint8Array(0);
  let [channels, resolution] = [0, 0];
  for (const [i, file] of files.entries()) {
    const name = source.nameOf(file);
    const fail = (problem: string): never => {
      throw new EvenkeelError("file", `${name} ${problem}. ${advice}.`);
    };
    const image = await readPng(source, file);
    const { width, height } = image;
    if (width !== height) fail(`is ${width}x${height}, expected a square`);
    if (image.channels !== 1 && image.channels !== 3) {
      fail(`has ${image.channels} channels, expected grey or colour without transparency`);
    }
    if (i === 0) {
      [channels, resolution] = [image.channels, width];
      pixels = allocate(files.length * image.pixels.length, source.name);
    }
    if (image.channels !== channels || width !== resolution) {
      fail(`is ${image.channels}x${width}x${height}, others are ${channels}x${resolution}x${resolution}`);
    }
    pixels.set(image.pixels, i * image.pixels.length);
    onProgress(`reading ${source.name}`, i + 1, files.length);
  }
  return { channels, resolution, pixels };
}

async function readPng(source: FileSource, file: string): Promise<DecodedImage> {
  try {
    return decodePng(await source.read(file), source.nameOf(file));
  } catch (cause) {
    throw new EvenkeelError("file", `${messageOf(cause)} ${advice}, and leaves damaged ones out.`, { cause });
  }
}

function allocate(bytes: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    const wanted = `${name}: its pixels take ${(bytes / 1e9).toFixed(1)} GB, more than can be had.`;
    throw new EvenkeelError("memory", `${wanted} Use fewer images (npx evenkeel dataset convert --max-images).`, {
      cause,
    });
  }
}
