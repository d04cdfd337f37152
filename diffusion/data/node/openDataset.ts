import { extname } from "node:path";
import { z } from "zod";
import { EvenkeelError } from "../../../engine/index.ts";
import { createDataset, type ImageDataset } from "../dataset.ts";
import { decodePng } from "./decodePng.ts";
import { type FileSource, openFiles } from "./imageSource.ts";

const descriptionSchema = z.looseObject({
  labels: z
    .array(z.tuple([z.string(), z.union([z.number(), z.array(z.number())])]))
    .nullable()
    .optional(),
  classNames: z.array(z.string()).optional(),
});

/**
 * Reads a data set into memory: a zip or folder of PNGs of one size, square, grey or colour, with labels in `dataset.json` as the
 * reference has it. Without that file the sorted top-level folders are the classes, if there are two or more.
 * @throws EvenkeelError `file` that names the image that doesn't fit, and what to do.
 */
export async function openDataset(path: string): Promise<ImageDataset> {
  await using source = await openFiles(path);
  const images = source.files.filter((file) => extname(file).toLowerCase() === ".png");
  if (images.length === 0) {
    throw new EvenkeelError(
      "file",
      `${path} holds no PNG. Other images are made into a data set by evenkeel dataset convert.`,
    );
  }
  const { labels, classNames } = await readLabels(source, images);
  let pixels = new Uint8Array(0);
  let shape: readonly [channels: number, resolution: number] | undefined;
  for (const [i, file] of images.entries()) {
    const image = decodePng(await source.read(file), `${path}: ${file}`);
    const fail = (problem: string): never => {
      throw new EvenkeelError(
        "file",
        `${path}: ${file} ${problem}. evenkeel dataset convert makes images of one size and kind.`,
      );
    };
    if (image.width !== image.height) fail(`is ${image.width}x${image.height}, expected a square`);
    if (image.channels !== 1 && image.channels !== 3)
      fail(`has ${image.channels} channels, expected grey or colour without transparency`);
    shape ??= [image.channels, image.width];
    if (image.channels !== shape[0] || image.width !== shape[1]) {
      fail(`is ${image.channels}x${image.width}x${image.height}, others are ${shape[0]}x${shape[1]}x${shape[1]}`);
    }
    if (i === 0) pixels = new Uint8Array(images.length * image.pixels.length);
    pixels.set(image.pixels, i * image.pixels.length);
  }
  const [channels = 0, resolution = 0] = shape ?? [];
  return createDataset({ name: path, channels, resolution, pixels, labels, classNames });
}

type Labels = { readonly labels: number[] | number[][] | null; readonly classNames: readonly string[] | null };

/** The labels of images: of `dataset.json`, or of the top-level folders. */
export async function readLabels(source: FileSource, images: readonly string[]): Promise<Labels> {
  if (source.files.includes("dataset.json")) return parseLabels(await source.read("dataset.json"), source.name, images);
  const folders = [
    ...new Set(images.filter((file) => file.includes("/")).map((file) => file.slice(0, file.indexOf("/")))),
  ];
  if (folders.length < 2 || images.some((file) => !file.includes("/"))) return { labels: null, classNames: null };
  folders.sort();
  return { labels: images.map((file) => folders.indexOf(file.slice(0, file.indexOf("/")))), classNames: folders };
}

function parseLabels(bytes: Uint8Array, name: string, images: readonly string[]): Labels {
  const fail = (problem: string, cause?: unknown): never => {
    throw new EvenkeelError("file", `${name}: dataset.json ${problem}`, { cause });
  };
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    return fail("is not JSON", cause);
  }
  const checked = descriptionSchema.safeParse(json);
  if (!checked.success) return fail(`is damaged: ${z.prettifyError(checked.error)}`);
  const { labels, classNames = null } = checked.data;
  if (labels === null || labels === undefined) return { labels: null, classNames };
  const byFile = new Map(labels);
  const ordered = images.map((file) => byFile.get(file) ?? fail(`has no label for ${file}`));
  return { labels: ordered as number[] | number[][], classNames };
}
