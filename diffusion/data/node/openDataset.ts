import { extname } from "node:path";
import { EvenkeelError } from "../../../engine/index.ts";
import { createDataset, type ImageDataset } from "../dataset.ts";
import { decodePng } from "./decodePng.ts";
import { findIdx, readIdx } from "./idxFile.ts";
import { type FileSource, openFiles } from "./imageSource.ts";
import { readLabels } from "./labels.ts";
import { imageExtensions } from "./pictures.ts";

const advice = "npx evenkeel dataset convert makes images of one size and kind.";

/**
 * Reads a data set into memory: a zip or folder of PNGs of one size, square, grey or colour, with labels in `dataset.json` as the
 * reference has it, or an IDX file of images such as Fashion-MNIST's (or a folder of such files) with its labels beside it. Without
 * `dataset.json` the sorted top-level folders are the classes, if there are two or more.
 * @throws EvenkeelError `file` that names the image that doesn't fit, and what to do.
 */
export async function openDataset(path: string): Promise<ImageDataset> {
  const idx = await findIdx(path);
  if (idx !== null) return openIdxDataset(idx);
  await using source = await openFiles(path);
  const pictures = source.files.filter((file) => imageExtensions.has(extname(file).toLowerCase()));
  const images = pictures.filter((file) => extname(file).toLowerCase() === ".png");
  const other = pictures.find((file) => extname(file).toLowerCase() !== ".png");
  if (other !== undefined) throw new EvenkeelError("file", `${path}: ${other} is no PNG. ${advice}`);
  if (images.length === 0) throw new EvenkeelError("file", `${path} holds no PNG.`);
  const labels = await readLabels(source, images);
  return createDataset({ name: path, ...(await readImages(source, images)), ...labels });
}

async function readImages(
  source: FileSource,
  files: readonly string[],
): Promise<{ channels: number; resolution: number; pixels: Uint8Array }> {
  let pixels = new Uint8Array(0);
  let [channels, resolution] = [0, 0];
  for (const [i, file] of files.entries()) {
    const image = decodePng(await source.read(file), `${source.name}: ${file}`);
    const { width, height } = image;
    const fail = (problem: string): never => {
      throw new EvenkeelError("file", `${source.name}: ${file} ${problem}. ${advice}`);
    };
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
  }
  return { channels, resolution, pixels };
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

async function openIdxDataset(path: string): Promise<ImageDataset> {
  const { images, labels } = await readIdx(path);
  const [, height = 0, width = 0] = images.shape;
  if (width !== height) throw new EvenkeelError("file", `${path} holds images of ${width}x${height}. ${advice}`);
  return createDataset({ name: path, channels: 1, resolution: width, pixels: images.data, labels });
}
