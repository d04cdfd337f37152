import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { createDataset, type ImageDataset } from "../dataset.ts";
import { type Colour, isTransparent, type RawPicture } from "./background.ts";
import { decodePng } from "./decodePng.ts";
import { type FileSource, titleOf } from "./fileSource.ts";
import type { LabelOrigin } from "./labels.ts";
import {
  hasChunkBeforePixels,
  isAnimatedPng,
  isPng,
  openPictures,
  type Pictures,
  type StoredPicture,
} from "./pictures.ts";
import { UnsupportedPng } from "./pngChunks.ts";
import { type Reading, readingOf } from "./reading.ts";
import { gatherSquares, labelsAt, type Square } from "./squares.ts";
import { squarePixels, type SquareTransform } from "./squarePixels.ts";

/** A picture's pixels upright and in sRGB, its opacity not multiplied in. */
export type DecodedPicture = RawPicture & {
  /** Whether it has further pictures, of which this is the first. */
  readonly isAnimation?: boolean | undefined;
};

/** What is made of pictures, and how. */
export type ConvertPicturesOptions = {
  /** Width and height of the results. */
  readonly resolution: number;
  readonly transform: SquareTransform;
  readonly greyscale: boolean;
  /** What shows through transparent pictures. */
  readonly background: Colour;
  /** At most so many, the first by name that can be read. */
  readonly maxImages?: number | undefined;
  /** Whether what pictures are called, such as `cat.12.jpg`, gives their classes. Default: `dataset.json` or folders do. */
  readonly labelsFrom?: LabelOrigin | undefined;
  /**
   * Decodes what isn't decoded here: all but BMPs and common PNGs.
   * @param name what messages call the picture.
   * @throws anything if it can't; the picture is then left out.
   */
  readonly decode: (bytes: Uint8Array, name: string) => Promise<DecodedPicture>;
};

/** What is told of pictures that are left out because nobody can decode them. */
export const undecodedPictures =
  "pictures that are damaged, locked, too large, or of a kind that can't be decoded here; save them as JPEG or PNG";

/** So many pictures are in memory at once, each with 4 bytes a pixel. */
const atOnce = 4;

/**
 * Makes a data set of pictures of any size: what `openDataset` reads, with pictures of any kind that is decoded. Whatever is left out, changed
 * or guessed is told to `reading.notices`. The source stays open.
 * @throws EvenkeelError `file` if no picture can be read; `value` for a resolution or a number of images that is none.
 * @example
 * ```ts
 * import { encodePng } from "evenkeel/diffusion/sample";
 *
 * const png = new Blob([new Uint8Array(encodePng({ width: 6, height: 4, channels: 1, data: new Uint8Array(24) }))]);
 * const source = blobSource("dropped", [{ path: "wide.png", blob: png }]);
 * const options = { resolution: 2, transform: "center-crop", greyscale: false, background: [255, 255, 255] } as const;
 * const dataset = await convertPictures(source, { ...options, decode: () => Promise.reject(new Error("PNGs alone")) });
 * console.log(dataset.count, dataset.channels, dataset.resolution); // 1 3 2
 * ```
 */
export async function convertPictures(
  source: FileSource,
  options: ConvertPicturesOptions,
  reading: Partial<Reading> = {},
): Promise<ImageDataset> {
  checkConversion(options);
  const { resolution, background, maxImages = Infinity } = options;
  const whole = readingOf(reading);
  const name = titleOf(source);
  const pictures = await openPictures(source, whole, options.labelsFrom);
  const channels = options.greyscale || pictures.isGrey ? 1 : 3;
  const list = {
    count: pictures.count,
    nameOf: (index: number): string => pictures.nameOf(index),
    squareOf: (index: number): Promise<Square> => squareOf(pictures, index, name, channels, options),
  };
  const words = { damaged: undecodedPictures, background: "" };
  const squaresOptions = { ...whole, name, resolution, background, maxImages, isStrict: false, atOnce, words };
  const { pixels, places } = await gatherSquares(list, channels, squaresOptions);
  const labels = labelsAt(pictures.labels, places);
  return createDataset({ name, channels, resolution, pixels, labels, classNames: pictures.classNames });
}

/** @throws EvenkeelError `value` for a resolution or a number of images that is none. */
export function checkConversion({
  resolution,
  maxImages,
}: {
  readonly resolution: number;
  readonly maxImages?: number | undefined;
}): void {
  const isSize = (value: number): boolean => Number.isInteger(value) && value >= 1;
  if (!isSize(resolution)) {
    throw new EvenkeelError("value", `convert: the resolution is ${resolution}, expected a whole number from 1 on.`);
  }
  if (maxImages !== undefined && !isSize(maxImages)) {
    throw new EvenkeelError("value", `convert: at most ${maxImages} images are none.`);
  }
}

async function squareOf(
  pictures: Pictures,
  index: number,
  title: string,
  channels: 1 | 3,
  options: ConvertPicturesOptions,
): Promise<Square> {
  const name = `${title}: ${pictures.nameOf(index)}`;
  const stored = await pictures.read(index);
  const picture = await pixelsOf(stored, name, options);
  return {
    pixels: squarePixels(picture, options, channels),
    isTransparent: isTransparent(picture),
    width: picture.width,
    height: picture.height,
    isAnimation: picture.isAnimation ?? false,
    isDeep: stored.kind === "file" && isPng(stored.bytes) && stored.bytes[depthPlace] === 16,
    isDoubtful: false,
  };
}

/** Where a PNG says how many bits a channel has. */
const depthPlace = 24;

async function pixelsOf(
  stored: StoredPicture,
  name: string,
  { decode }: ConvertPicturesOptions,
): Promise<DecodedPicture> {
  if (stored.kind === "pixels") return stored.pixels;
  const { bytes } = stored;
  const own = isPng(bytes) ? plainPng(bytes, name) : null;
  if (own !== null) return { ...own, isAnimation: isAnimatedPng(bytes) };
  const picture = await decode(bytes, name).catch((cause: unknown): never => {
    throw new EvenkeelError("file", `${name}: can't be read as an image: ${messageOf(cause)}`, { cause });
  });
  const { width, height, channels, data } = picture;
  if (!(width >= 1 && height >= 1) || data.length !== width * height * channels) {
    const got = `${data.length} bytes for ${width}x${height} pixels of ${channels} channels`;
    throw new EvenkeelError("file", `${name}: can't be read as an image: its decoder gives ${got}.`);
  }
  return isPng(bytes) ? { ...picture, isAnimation: isAnimatedPng(bytes) } : picture;
}

/** Chunks of colours that aren't those of sRGB, and of how the camera was held. */
const otherColours = ["iCCP", "cICP", "eXIf"];

/** The pixels of a PNG that shows just these; null for one that others have to decode. @throws EvenkeelError `file` for a damaged one. */
function plainPng(bytes: Uint8Array, name: string): RawPicture | null {
  if (otherColours.some((type) => hasChunkBeforePixels(bytes, type))) return null;
  try {
    const { width, height, channels, pixels } = decodePng(bytes, name);
    return { width, height, ...together(pixels, channels) };
  } catch (cause) {
    if (cause instanceof EvenkeelError && cause.cause instanceof UnsupportedPng) return null;
    throw cause;
  }
}

/** Channels of a pixel together, of planes; grey with opacity becomes colour with it. */
function together(planes: Uint8Array, channels: number): Pick<RawPicture, "channels" | "data"> {
  // Which plane each channel of the result is.
  const order = channels === 1 ? [0] : channels === 2 ? [0, 0, 0, 1] : channels === 3 ? [0, 1, 2] : [0, 1, 2, 3];
  const area = planes.length / channels;
  const data = new Uint8Array(area * order.length);
  for (const [channel, plane] of order.entries()) {
    for (let i = 0; i < area; i++) data[i * order.length + channel] = planes[plane * area + i] ?? 0;
  }
  // The assertion: as many as there are orders above.
  return { channels: order.length as 1 | 3 | 4, data };
}
