import { EvenkeelError } from "../../../engine/index.ts";
import { createDataset, type ImageDataset } from "../dataset.ts";
import { parseColour, type Transform } from "./makeSquare.ts";
import { makeSquares } from "./makeSquares.ts";
import { openPictures } from "./pictures.ts";
import { loadSharp } from "./sharp.ts";

export type ConvertOptions = {
  readonly source: string;
  /** Width and height of the results. */
  readonly resolution: number;
  readonly transform: Transform;
  /** For `center-crop-wide`: the height of the band that is cut out, less than `resolution`. */
  readonly bandHeight?: number | undefined;
  readonly greyscale: boolean;
  /** What shows through transparent pictures, e.g. `#ffffff`. */
  readonly background: string;
  /** At most so many, the first by name. */
  readonly maxImages?: number | undefined;
  readonly onImage?: (done: number, total: number) => void;
};

/**
 * Makes a data set of pictures of any size: a folder or zip of images with labels as `openDataset` finds them, an IDX file of images or
 * a folder of such files, an `.npy` of bytes with labels in `NAME-labels.npy`, or a package of emoji by its name or path.
 * @throws EvenkeelError `file` that names the picture that can't be read, `value` for sizes that the transform doesn't take.
 */
export async function convertDataset(options: ConvertOptions): Promise<ImageDataset> {
  checkSizes(options);
  await loadSharp();
  const { source, resolution, maxImages = Infinity } = options;
  const background = await parseColour(options.background);
  await using pictures = await openPictures(source);
  const count = Math.min(pictures.count, maxImages);
  const channels = options.greyscale || pictures.isGrey ? 1 : 3;
  const read = (index: number): ReturnType<typeof pictures.read> => pictures.read(index);
  const pixels = await makeSquares(read, count, channels, { ...options, background }, options.onImage);
  const { classNames } = pictures;
  return createDataset({
    name: source,
    channels,
    resolution,
    pixels,
    labels: pictures.labels?.slice(0, count) ?? null,
    classNames,
  });
}

function checkSizes({ resolution, transform, bandHeight, maxImages }: ConvertOptions): void {
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `convert: ${problem}.`);
  };
  const isSize = (value: number): boolean => Number.isInteger(value) && value >= 1;
  if (!isSize(resolution)) fail(`the resolution is ${resolution}, expected a whole number from 1 on`);
  if (maxImages !== undefined && !isSize(maxImages)) fail(`at most ${maxImages} images are none`);
  if (transform === "center-crop-wide") {
    if (bandHeight === undefined || !isSize(bandHeight) || bandHeight >= resolution) {
      fail("center-crop-wide needs a resolution wider than high, such as 64x36");
    }
  } else if (bandHeight !== undefined && bandHeight !== resolution) {
    fail(
      `only center-crop-wide takes sizes that aren't square, and ${transform} was given ${resolution}x${bandHeight}`,
    );
  }
}
