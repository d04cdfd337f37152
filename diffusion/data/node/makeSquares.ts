import type { Sharp } from "sharp";
import type { Reading } from "../files/reading.ts";
import { gatherSquares, isUnreadable, type Square, type Squares } from "../files/squares.ts";
import { damagedPictures } from "./damagedPictures.ts";
import { makeSquare, type SquareOptions } from "./makeSquare.ts";

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

/** So many pictures are read at once, by the threads that decode them. */
const groupSize = 8;

/**
 * Square images of the first pictures that can be read.
 * @throws EvenkeelError as `makeSquare` does; `file` only if none of the pictures can be read, or `isStrict`.
 */
export async function makeSquares(pictures: PictureList, channels: 1 | 3, options: SquaresOptions): Promise<Squares> {
  const list = {
    count: pictures.count,
    nameOf: (index: number): string => pictures.nameOf(index),
    squareOf: (index: number): Promise<Square> => readSquare(pictures, index, channels, options),
  };
  const words = { damaged: damagedPictures, background: " (--background)" };
  return gatherSquares(list, channels, { ...options, atOnce: groupSize, words });
}

async function readSquare(
  pictures: PictureList,
  index: number,
  channels: 1 | 3,
  options: SquaresOptions,
): Promise<Square> {
  const { image, lenient, isAnimation = false } = await pictures.read(index);
  const read = async (picture: Sharp, isDoubtful: boolean): Promise<Square> => {
    const square = await makeSquare(picture, `${options.name}: ${pictures.nameOf(index)}`, options, channels);
    return { ...square, isDoubtful, isAnimation: isAnimation || square.pages > 1 };
  };
  return read(image, false).catch(async (cause: unknown) => {
    if (lenient === undefined || !isUnreadable(cause)) throw cause;
    return read(lenient(), true).catch(() => Promise.reject(cause));
  });
}
