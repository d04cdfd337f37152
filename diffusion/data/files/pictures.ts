import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import type { LabelList } from "../dataset.ts";
import { inOrder, readArrayImages } from "./arrayImages.ts";
import type { RawPicture } from "./background.ts";
import { decodeBmp, startsLikeBmp } from "./bmpFile.ts";
import type { ArrayFiles } from "./chooseArrays.ts";
import { contentsOf } from "./contents.ts";
import { type FileSource, titleOf } from "./fileSource.ts";
import { readIdx } from "./idxFile.ts";
import { type LabelOrigin, readLabels } from "./labels.ts";
import type { Notices } from "./notices.ts";
import type { Reading } from "./reading.ts";

/** A picture as its source has it: a file that is still to be decoded, or pixels. */
export type StoredPicture =
  | { readonly kind: "file"; readonly bytes: Uint8Array }
  | { readonly kind: "pixels"; readonly pixels: RawPicture };

/** Pictures of any kind and size with their labels, while their source is open. */
export interface Pictures {
  readonly count: number;
  readonly isGrey: boolean;
  readonly labels: LabelList | null;
  readonly classNames: readonly string[] | null;
  /** What messages call a picture, beside the name of all. */
  nameOf(index: number): string;
  /** @throws EvenkeelError `file` if it can't be had. */
  read(index: number): Promise<StoredPicture>;
}

/**
 * The pictures of an IDX file, a NumPy array, or a folder or zip of images or of such files.
 * @throws EvenkeelError `file` if there are none; `value` if names are to be labels where pictures have none.
 */
export async function openPictures(
  source: FileSource,
  { notices }: Reading,
  labelsFrom: LabelOrigin = "files",
): Promise<Pictures> {
  const contents = await contentsOf(source, notices);
  const requireFiles = (what: string): void => {
    if (labelsFrom === "names") throw namesAreOfFiles(titleOf(source), what);
  };
  switch (contents.form) {
    case "pictures":
      return await filePictures(source, contents.files, notices, labelsFrom);
    case "idx":
      requireFiles("those of an IDX file have no names");
      return await idxPictures(source, contents);
    case "array":
      requireFiles("those of an array have no names");
      return await arrayPictures(source, contents, notices);
    case "latents":
      throw new EvenkeelError(
        "file",
        `${titleOf(source)} holds the latents of ${contents.files.length} pictures (${contents.files[0]}, ...), which need no conversion: they are of one size already.`,
      );
  }
}

/** Why names can't be labels. */
export function namesAreOfFiles(title: string, what: string): EvenkeelError {
  return new EvenkeelError("value", `${title}: labels from names are for pictures in files of their own; ${what}.`);
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
      if (startsLikeBmp(bytes)) return { kind: "pixels", pixels: bmpPixels(bytes, source.nameOf(nameOf(index))) };
      return { kind: "file", bytes };
    },
  };
}

/** A BMP's pixels: not every decoder knows BMPs. */
function bmpPixels(bytes: Uint8Array, name: string): RawPicture {
  try {
    return decodeBmp(bytes);
  } catch (cause) {
    throw new EvenkeelError("file", `${name}: can't be read as a BMP: ${messageOf(cause)}.`, { cause });
  }
}

/** Whether a PNG has further pictures, of which decoders know nothing. */
export function isAnimatedPng(bytes: Uint8Array): boolean {
  return isPng(bytes) && hasChunkBeforePixels(bytes, "acTL");
}

/** Whether a PNG seems to have a chunk of some type before its pixels. */
export function hasChunkBeforePixels(bytes: Uint8Array, type: string): boolean {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 2 ** 16));
  const data = head.indexOf("IDAT");
  return head.slice(0, data < 0 ? head.length : data).includes(type);
}

/** Whether a file begins as a PNG. */
export function isPng(bytes: Uint8Array): boolean {
  return [0x89, 0x50, 0x4e, 0x47].every((byte, i) => bytes[i] === byte);
}

async function idxPictures(source: FileSource, files: ArrayFiles): Promise<Pictures> {
  const { images, labels } = await readIdx(source, files.images, files.labels);
  const [, height = 0, width = 0] = images.shape;
  if (images.data.length === 0) throw new EvenkeelError("file", `${source.nameOf(files.images)} holds no images.`);
  return ofArray(images.data, { height, width, channels: 1 }, labels);
}

async function arrayPictures(source: FileSource, files: ArrayFiles, notices: Notices): Promise<Pictures> {
  const images = await readArrayImages(source, files, notices);
  return ofArray(await inOrder(images, false), images, images.labels);
}

/** Pictures that lie in memory one after the other, rows of pixels with their channels together. */
function ofArray(
  data: Uint8Array,
  { height, width, channels }: Pick<RawPicture, "height" | "width" | "channels">,
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
      kind: "pixels",
      pixels: { data: data.subarray(index * size, (index + 1) * size), width, height, channels },
    }),
  };
}
