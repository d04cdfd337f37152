import { EvenkeelError } from "../../../engine/index.ts";
import type { LabelList } from "../dataset.ts";
import type { Colour } from "./background.ts";
import { isRefused, refusedFiles } from "./fileSource.ts";
import type { Reading } from "./reading.ts";

/** What a picture became. */
export type Square = {
  /** [channels, resolution, resolution]. */
  readonly pixels: Uint8Array;
  /** Whether the background shows through the picture. */
  readonly isTransparent: boolean;
  /** Of the picture. */
  readonly width: number;
  readonly height: number;
  /** Whether it has further pictures, of which nothing is taken. */
  readonly isAnimation: boolean;
  /** Whether it had 16 bits a channel, of which the lower ones are lost. */
  readonly isDeep: boolean;
  /** Whether its decoder warned of damage. */
  readonly isDoubtful: boolean;
};

/** Pictures of any size, made square one after the other. */
export interface SquareList {
  readonly count: number;
  /** What messages call a picture, beside the name of all. */
  nameOf(index: number): string;
  /** @throws EvenkeelError `file` if the picture can't be read. */
  squareOf(index: number): Promise<Square>;
}

export type SquaresOptions = Reading & {
  /** What the progress is of. */
  readonly name: string;
  readonly resolution: number;
  readonly background: Colour;
  /** At most so many. */
  readonly maxImages: number;
  /** Whether a picture that can't be read is an error; else it is left out, which is told. */
  readonly isStrict: boolean;
  /** So many pictures are read at once. */
  readonly atOnce: number;
  /** What is told of pictures that can't be read, and behind the colour that shows through transparent ones. */
  readonly words: { readonly damaged: string; readonly background: string };
};

export type Squares = {
  /** [N, channels, resolution, resolution]. */
  readonly pixels: Uint8Array;
  /** Which picture each image was made of. */
  readonly places: readonly number[];
};

const doubtfulPictures = "pictures whose decoder warns of damage, which are read all the same";

/**
 * Square images of the first pictures that can be read.
 * @throws EvenkeelError `file` only if none of the pictures can be read, or `isStrict`; others as `SquareList.squareOf`.
 */
export async function gatherSquares(pictures: SquareList, channels: 1 | 3, options: SquaresOptions): Promise<Squares> {
  const { maxImages, name, notices, isStrict, onProgress, atOnce, words } = options;
  const size = channels * options.resolution ** 2;
  const wanted = Math.min(pictures.count, maxImages);
  const pixels = new Uint8Array(wanted * size);
  const places: number[] = [];
  let firstFailure: EvenkeelError | undefined;
  for (let start = 0; start < pictures.count && places.length < wanted; start += atOnce) {
    const indices = Array.from({ length: Math.min(atOnce, pictures.count - start) }, (_, k) => start + k);
    const group = await Promise.all(indices.map((index) => squareOrFailure(pictures, index)));
    for (const [k, result] of group.entries()) {
      const picture = pictures.nameOf(start + k);
      if (places.length === wanted) break;
      if (result instanceof EvenkeelError) {
        if (isStrict) throw result;
        firstFailure ??= result;
        notices.add("left out", isRefused(result) ? refusedFiles : words.damaged, picture);
        continue;
      }
      for (const change of changesOf(result, options)) notices.add("changed", change, picture);
      if (result.isDoubtful) notices.add("guessed", doubtfulPictures, picture);
      pixels.set(result.pixels, places.length * size);
      places.push(start + k);
    }
    onProgress(`converting ${name}`, Math.min(start + atOnce, pictures.count), pictures.count);
  }
  if (places.length === 0 && firstFailure !== undefined) throw firstFailure;
  return { pixels: pixels.subarray(0, places.length * size), places };
}

/** @returns the error if the picture can't be read. @throws anything else. */
async function squareOrFailure(pictures: SquareList, index: number): Promise<Square | EvenkeelError> {
  try {
    return await pictures.squareOf(index);
  } catch (cause) {
    if (isUnreadable(cause)) return cause;
    throw cause;
  }
}

/** Whether an error says that a picture can't be read. */
export function isUnreadable(cause: unknown): cause is EvenkeelError {
  return cause instanceof EvenkeelError && cause.code === "file";
}

/** What an image doesn't show of its picture. */
function changesOf(square: Square, { resolution, background, words }: SquaresOptions): readonly string[] {
  const changes: string[] = [];
  if (square.isAnimation) changes.push("animations and pictures of several pages, of which the first is taken");
  if (square.isDeep)
    changes.push(
      "pictures of 16 bits a channel, of which the upper 8 are taken; scale those that use fewer than 16 first",
    );
  if (square.isTransparent) {
    const colour = background.map((value) => value.toString(16).padStart(2, "0")).join("");
    changes.push(`pictures that are transparent in places, shown on #${colour}${words.background}`);
  }
  if (Math.min(square.width, square.height) < resolution)
    changes.push(`pictures smaller than ${resolution}, which are enlarged`);
  return changes;
}

/** The labels of the pictures at some places. */
export function labelsAt(labels: LabelList | null, places: readonly number[]): LabelList | null {
  // The assertion: whether all are of one kind is checked where the data set is made.
  return labels === null ? null : (places.map((place) => labels[place] ?? 0) as number[] | number[][]);
}
