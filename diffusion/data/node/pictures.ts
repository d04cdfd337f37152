import type { Sharp } from "sharp";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import type { LabelList } from "../dataset.ts";
import { inOrder, readArrayImages } from "./arrayImages.ts";
import { decodeBmp, startsLikeBmp } from "./bmpFile.ts";
import type { ArrayFiles } from "./chooseArrays.ts";
import { contentsOf } from "./contents.ts";
import { emojiClasses, emojiList, type EmojiPackage, findEmojiPackage, listEmoji } from "./emoji.ts";
import { readIdx } from "./idxFile.ts";
import type { FileSource } from "./fileSource.ts";
import { openFiles } from "./imageSource.ts";
import { type LabelOrigin, readLabels } from "./labels.ts";
import type { PictureList } from "./makeSquares.ts";
import type { Notices } from "./notices.ts";
import type { Reading } from "./reading.ts";
import { sharp } from "./sharp.ts";

/** Pictures with their labels. */
export interface Pictures extends PictureList, AsyncDisposable {
  readonly isGrey: boolean;
  readonly labels: LabelList | null;
  readonly classNames: readonly string[] | null;
}

/**
 * The pictures of a package of emoji, an IDX file, a NumPy array, or a folder or zip of images or of such files.
 * @throws EvenkeelError `file` if there are none; `value` if names are to be labels where pictures have none.
 */
export async function openPictures(
  path: string,
  reading: Reading,
  labelsFrom: LabelOrigin = "files",
): Promise<Pictures> {
  const emoji = await findEmojiPackage(path);
  const requireNames = (what: string): void => {
    if (labelsFrom === "names")
      throw new EvenkeelError("value", `${path}: --labels-from names is for pictures in files of their own; ${what}.`);
  };
  if (emoji !== null) {
    requireNames("emoji have their classes");
    return emojiPictures(emoji);
  }
  const { notices } = reading;
  const source = await openFiles(path, reading);
  try {
    const contents = await contentsOf(source, notices);
    switch (contents.form) {
      case "pictures":
        return await filePictures(source, contents.files, notices, labelsFrom);
      case "idx":
        requireNames("those of an IDX file have no names");
        return await idxPictures(source, contents);
      case "array":
        requireNames("those of an array have no names");
        return await arrayPictures(source, contents, notices);
      case "latents":
        throw new EvenkeelError(
          "file",
          `${path} holds the latents of ${contents.files.length} pictures (${contents.files[0]}, ...), which need no conversion: they are of one size already.`,
        );
    }
  } catch (cause) {
    await source[Symbol.asyncDispose]();
    throw cause;
  }
}

async function emojiPictures(emoji: EmojiPackage): Promise<Pictures> {
  const files = await listEmoji(emoji);
  const classNames = emojiClasses(files);
  return {
    ...emojiList(files),
    isGrey: false,
    labels: files.map(({ category }) => classNames.indexOf(category)),
    classNames,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function filePictures(
  source: FileSource,
  all: readonly string[],
  notices: Notices,
  labelsFrom: LabelOrigin,
): Promise<Pictures> {
  const { images: files, labels, classNames } = await readLabels(source, all, notices, labelsFrom);
  const nameOf = (index: number): string => files[index] ?? "";
  return {
    count: files.length,
    isGrey: false,
    labels,
    classNames,
    nameOf,
    read: async (index) => {
      const bytes = await source.read(nameOf(index));
      if (bytes.length === 0) throw new EvenkeelError("file", `${source.nameOf(nameOf(index))} is empty.`);
      if (startsLikeBmp(bytes)) return { image: bmpImage(bytes, source.nameOf(nameOf(index))) };
      // A damaged picture is an error, not a picture with a grey half; but decoders warn of lesser things, too.
      const lenient = (): Sharp => sharp(bytes, { failOn: "error" });
      return { image: sharp(bytes, { failOn: "warning" }), lenient, isAnimation: isAnimatedPng(bytes) };
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** Whether a PNG has further pictures, of which its decoder knows nothing: its chunk acTL comes before the first one's data. */
function isAnimatedPng(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 2 ** 16)).toString("latin1");
  const data = head.indexOf("IDAT");
  return head.startsWith("\x89PNG") && head.slice(0, data < 0 ? head.length : data).includes("acTL");
}

/** A BMP, which the library doesn't read, by its pixels. */
function bmpImage(bytes: Uint8Array, name: string): Sharp {
  try {
    const { data, width, height, channels } = decodeBmp(bytes);
    return sharp(data, { raw: { width, height, channels } });
  } catch (cause) {
    throw new EvenkeelError("file", `${name}: can't be read as a BMP: ${messageOf(cause)}.`, { cause });
  }
}

async function idxPictures(source: FileSource, files: ArrayFiles): Promise<Pictures> {
  const { images, labels } = await readIdx(source, files.images, files.labels);
  const [, height = 0, width = 0] = images.shape;
  if (images.data.length === 0) throw new EvenkeelError("file", `${source.nameOf(files.images)} holds no images.`);
  return ofArray(source, images.data, { height, width, channels: 1 }, labels);
}

async function arrayPictures(source: FileSource, files: ArrayFiles, notices: Notices): Promise<Pictures> {
  const images = await readArrayImages(source, files, notices);
  return ofArray(source, await inOrder(images, false), images, images.labels);
}

/** Pictures that lie in memory one after the other, rows of pixels with their channels together. */
function ofArray(
  source: FileSource,
  data: Uint8Array,
  { height, width, channels }: { readonly height: number; readonly width: number; readonly channels: 1 | 3 | 4 },
  labels: Pictures["labels"],
): Pictures {
  const size = height * width * channels;
  return {
    count: data.length / size,
    isGrey: channels === 1,
    labels,
    classNames: null,
    nameOf: (index) => `image ${index}`,
    read: async (index) => ({
      image: sharp(data.subarray(index * size, (index + 1) * size), { raw: { width, height, channels } }),
    }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}
