import { access } from "node:fs/promises";
import { extname } from "node:path";

import { EvenkeelError, eventLoopTurn } from "../../../engine/index.ts";
import { emojiClasses, type EmojiPackage, findEmojiPackage, listEmoji } from "./emoji.ts";
import { findIdx, readIdx } from "./idxFile.ts";
import { openFiles, readWhole } from "./imageSource.ts";
import { readLabels } from "./labels.ts";
import type { NamedPicture } from "./makeSquares.ts";
import { numbersOfNpy, parseNpy } from "./npyFile.ts";
import { sharp } from "./sharp.ts";

/** Pictures of any size, read one after the other, with their labels. */
export interface Pictures extends AsyncDisposable {
  readonly count: number;
  readonly isGrey: boolean;
  readonly labels: readonly number[] | readonly (readonly number[])[] | null;
  readonly classNames: readonly string[] | null;
  read(index: number): Promise<NamedPicture>;
}

/** What counts as a picture among files. */
export const imageExtensions: ReadonlySet<string> = new Set([
  ".png",
  ".jpg",
  ".jpeg",
  ".webp",
  ".gif",
  ".tif",
  ".tiff",
  ".avif",
  ".bmp",
]);

/** NumPy arrays are no larger. */
const maximumArrayBytes = 2 ** 33;

/**
 * The pictures of a package of emoji, an IDX file or a folder of such files, a NumPy array, or a folder or zip of images.
 * @throws EvenkeelError `file` if there are none.
 */
export async function openPictures(source: string): Promise<Pictures> {
  const emoji = await findEmojiPackage(source);
  if (emoji !== null) return emojiPictures(emoji);
  if (extname(source).toLowerCase() === ".npy") return arrayPictures(source);
  const idx = await findIdx(source);
  return idx === null ? filePictures(source) : idxPictures(idx);
}

const nothingToClose = { [Symbol.asyncDispose]: async (): Promise<void> => undefined };

async function emojiPictures(emoji: EmojiPackage): Promise<Pictures> {
  const files = await listEmoji(emoji);
  const classNames = emojiClasses(files);
  return {
    count: files.length,
    isGrey: false,
    labels: files.map(({ category }) => classNames.indexOf(category)),
    classNames,
    read: async (index) => {
      const path = files[index]?.path ?? "";
      return { image: sharp(path), name: path };
    },
    ...nothingToClose,
  };
}

async function filePictures(path: string): Promise<Pictures> {
  const source = await openFiles(path);
  try {
    const files = source.files.filter((file) => imageExtensions.has(extname(file).toLowerCase()));
    if (files.length === 0) {
      throw new EvenkeelError("file", `${path} holds no images (${[...imageExtensions].join(" ")}).`);
    }
    return {
      count: files.length,
      isGrey: false,
      ...(await readLabels(source, files)),
      read: async (index) => {
        const file = files[index] ?? "";
        // A damaged picture is an error, not a picture with a grey half.
        return { image: sharp(await source.read(file), { failOn: "warning" }), name: `${path}: ${file}` };
      },
      [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
    };
  } catch (cause) {
    await source[Symbol.asyncDispose]();
    throw cause;
  }
}

async function idxPictures(path: string): Promise<Pictures> {
  const { images, labels } = await readIdx(path);
  const [, height = 0, width = 0] = images.shape;
  return { labels, ...ofArray(path, images.data, [height, width, 1]) };
}

/** Pictures that lie in memory one after the other, rows of pixels with their channels together. */
function ofArray(
  path: string,
  data: Uint8Array,
  [height, width, channels]: readonly [height: number, width: number, channels: 1 | 3 | 4],
): Omit<Pictures, "labels"> {
  const size = height * width * channels;
  if (data.length === 0) throw new EvenkeelError("file", `${path} holds no images.`);
  return {
    count: data.length / size,
    isGrey: channels === 1,
    classNames: null,
    read: async (index) => ({
      image: sharp(data.subarray(index * size, (index + 1) * size), { raw: { width, height, channels } }),
      name: `${path}: image ${index}`,
    }),
    ...nothingToClose,
  };
}

/** `x.npy`, bytes [N, H, W], [N, H, W, C] or [N, C, H, W]; labels from `x-labels.npy`, [N] or [N, D]. */
async function arrayPictures(path: string): Promise<Pictures> {
  const array = parseNpy(await readWhole(path, maximumArrayBytes), path);
  if (array.type !== "|u1") throw new EvenkeelError("file", `${path} holds ${array.type}, expected bytes (uint8).`);
  const { shape, bytes } = array;
  const [count = 0, a = 0, b = 0, c = 1] = shape;
  const labels = await arrayLabels(path.replace(/\.npy$/i, "-labels.npy"), count);
  if (shape.length === 3) return { labels, ...ofArray(path, bytes, [a, b, 1]) };
  // [N, 3, 4, 4] is square in colour rather than 3 x 4 with opacity.
  const isPlanes = (a === 1 || a === 3) && (b === c || (c !== 1 && c !== 3 && c !== 4)) && !(a === b && b === c);
  if (shape.length === 4 && isPlanes)
    return { labels, ...ofArray(path, await pixelsTogether(bytes, a, b * c), [b, c, a]) };
  if (shape.length === 4 && (c === 1 || c === 3 || c === 4)) return { labels, ...ofArray(path, bytes, [a, b, c]) };
  throw new EvenkeelError(
    "file",
    `${path} is [${shape.join(", ")}], expected [N, H, W], [N, H, W, C] or [N, C, H, W].`,
  );
}

async function arrayLabels(path: string, count: number): Promise<Pictures["labels"]> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists) return null;
  const array = parseNpy(await readWhole(path, maximumArrayBytes), path);
  const { shape } = array;
  if (shape[0] !== count || shape.length > 2) {
    throw new EvenkeelError("file", `${path} is [${shape.join(", ")}], expected a label for each of ${count} images.`);
  }
  const numbers = numbersOfNpy(array, path);
  const [, width] = shape;
  if (width === undefined) return numbers;
  return Array.from({ length: count }, (_, i) => numbers.slice(i * width, (i + 1) * width));
}

/** [N, C, pixels] to [N, pixels, C]. */
async function pixelsTogether(planes: Uint8Array, channels: number, pixels: number): Promise<Uint8Array> {
  const together = new Uint8Array(planes.length);
  for (let image = 0; image < planes.length; image += channels * pixels) {
    for (let channel = 0; channel < channels; channel++) {
      const plane = image + channel * pixels;
      for (let i = 0; i < pixels; i++) together[image + i * channels + channel] = planes[plane + i] ?? 0;
    }
    await eventLoopTurn();
  }
  return together;
}
