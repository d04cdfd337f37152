import type { Sharp } from "sharp";
import { EvenkeelError } from "../../../engine/index.ts";
import { isRefused, refusedFiles } from "./fileSource.ts";
import { makeSquare, type Square, type SquareOptions } from "./makeSquare.ts";
import type { Reading } from "./reading.ts";

/** Pictures of any size, read one after the other. */
export interface PictureList {
  readonly count: number;
  /** What messages call a picture, beside the name of all. */
  nameOf(index: number): string;
  /** @throws EvenkeelError `file` if it can't be had. */
  read(index: number): Promise<Picture>;
}

export type Picture = {
  readonly image: Sharp;
  /** The same picture, read in spite of what its decoder warns of. */
  readonly lenient?: (() => Sharp) | undefined;
  /** Whether it has further pages that the decoder doesn't know of. */
  readonly isAnimation?: boolean | undefined;
};

export type SquaresOptions = SquareOptions &
  Reading & {
    /** What the progress is of. */
    readonly name: string;
    /** At most so many. */
    readonly maxImages: number;
    /** Whether a picture that can't be read is an error; else it is left out, which is told. */
    readonly isStrict: boolean;
  };

export type Squares = {
  /** [N, channels, resolution, resolution]. */
  readonly pixels: Uint8Array;
  /** Which picture each image was made of. */
  readonly places: readonly number[];
};

const doubtfulPictures = "pictures whose decoder warns of damage, which are read all the same";
/** What is told of pictures that are left out because they can't be read. */
export const damagedPictures =
  "pictures that are damaged, locked, packed in an unknown way, of real numbers or too large to decode (--strict stops at the first and says why)";

/** So many pictures are read at once, by the threads that decode them. */
const groupSize = 8;

/**
 * Square images of the first pictures that can be read.
 * @throws EvenkeelError as `makeSquare` does; `file` only if none of the pictures can be read, or `isStrict`.
 */
export async function makeSquares(pictures: PictureList, channels: 1 | 3, options: SquaresOptions): Promise<Squares> {
  const { maxImages, name, notices, isStrict, onProgress } = options;
  const size = channels * options.resolution ** 2;
  const wanted = Math.min(pictures.count, maxImages);
  const pixels = new Uint8Array(wanted * size);
  const places: number[] = [];
  let firstFailure: EvenkeelError | undefined;
  for (let start = 0; start < pictures.count && places.length < wanted; start += groupSize) {
    const indices = Array.from({ length: Math.min(groupSize, pictures.count - start) }, (_, k) => start + k);
    const group = await Promise.all(indices.map((index) => readSquare(pictures, index, channels, options)));
    for (const [k, result] of group.entries()) {
      const picture = pictures.nameOf(start + k);
      if (places.length === wanted) break;
      if (result instanceof EvenkeelError) {
        if (isStrict) throw result;
        firstFailure ??= result;
        notices.add("left out", isRefused(result) ? refusedFiles : damagedPictures, picture);
        continue;
      }
      for (const change of result.changes) notices.add("changed", change, picture);
      if (result.isDoubtful) notices.add("guessed", doubtfulPictures, picture);
      pixels.set(result.square, places.length * size);
      places.push(start + k);
    }
    onProgress(`converting ${name}`, Math.min(start + groupSize, pictures.count), pictures.count);
  }
  if (places.length === 0 && firstFailure !== undefined) throw firstFailure;
  return { pixels: pixels.subarray(0, places.length * size), places };
}

type ReadSquare = {
  readonly square: Uint8Array;
  readonly isDoubtful: boolean;
  /** What the image doesn't show of the picture. */
  readonly changes: readonly string[];
};

/** @returns the error if the picture can't be read. @throws anything else. */
async function readSquare(
  pictures: PictureList,
  index: number,
  channels: 1 | 3,
  options: SquaresOptions,
): Promise<ReadSquare | EvenkeelError> {
  try {
    const { image, lenient, isAnimation = false } = await pictures.read(index);
    const read = async (picture: Sharp, isDoubtful: boolean): Promise<ReadSquare> => {
      const square = await makeSquare(picture, `${options.name}: ${pictures.nameOf(index)}`, options, channels);
      return { square: square.pixels, isDoubtful, changes: changesOf(square, isAnimation, options) };
    };
    return await read(image, false).catch(async (cause: unknown) => {
      if (lenient === undefined || !isUnreadable(cause)) throw cause;
      return read(lenient(), true).catch(() => Promise.reject(cause));
    });
  } catch (cause) {
    if (isUnreadable(cause)) return cause;
    throw cause;
  }
}

function isUnreadable(cause: unknown): cause is EvenkeelError {
  return cause instanceof EvenkeelError && cause.code === "file";
}

function changesOf(
  { isTransparent, width, height, pages, isDeep }: Square,
  isAnimation: boolean,
  { resolution, background }: SquaresOptions,
): readonly string[] {
  const changes: string[] = [];
  if (pages > 1 || isAnimation) changes.push("animations and pictures of several pages, of which the first is taken");
  if (isDeep)
    changes.push(
      "pictures of 16 bits a channel, of which the upper 8 are taken; scale those that use fewer than 16 first",
    );
  if (isTransparent) {
    const colour = background.map((value) => value.toString(16).padStart(2, "0")).join("");
    changes.push(`pictures that are transparent in places, shown on #${colour} (--background)`);
  }
  if (Math.min(width, height) < resolution) changes.push(`pictures smaller than ${resolution}, which are enlarged`);
  return changes;
}
