import { EvenkeelError } from "../../../engine/index.ts";
import { createDataset, type ImageDataset } from "../dataset.ts";
import { checkConversion } from "../files/convertPictures.ts";
import { lostPictures } from "../files/fileKinds.ts";
import type { LabelOrigin } from "../files/labels.ts";
import { parseColour } from "./makeSquare.ts";
import { labelsAt } from "../files/squares.ts";
import { makeSquares } from "./makeSquares.ts";
import { describeNotice, type Notices } from "../files/notices.ts";
import { withPictures } from "./pictures.ts";
import { type Reading, readingOf } from "../files/reading.ts";
import { loadSharp } from "./sharp.ts";
import type { Transform } from "./transforms.ts";

/** What is made into a data set, and how. */
export type ConvertOptions = Partial<Reading> & {
  readonly source: string;
  /** Width and height of the results. */
  readonly resolution: number;
  readonly transform: Transform;
  /** For `center-crop-wide`: the height of the band that is cut out, less than `resolution`. */
  readonly bandHeight?: number | undefined;
  readonly greyscale: boolean;
  /** What shows through transparent pictures, e.g. `#ffffff`. */
  readonly background: string;
  /** At most so many, the first by name that can be read. */
  readonly maxImages?: number | undefined;
  /** Whether a picture that can't be read is an error. Default: it is left out, which `notices` are told. */
  readonly strict?: boolean | undefined;
  /** Whether what pictures are called, such as `cat.12.jpg`, gives their classes. Default: `dataset.json` or folders do. */
  readonly labelsFrom?: LabelOrigin | undefined;
};

/**
 * Makes a data set of pictures of any size: what `openDataset` reads, with pictures of any kind and size, or a package of emoji by its
 * name or path. Whatever is left out, changed or guessed is told to `notices`.
 * @throws EvenkeelError `file` if no picture can be read, or with `strict` for the first that can't; `value` for sizes that the
 * transform doesn't take.
 * @example
 * ```ts
 * import { encodePng } from "evenkeel/diffusion/sample";
 * import { mkdir, writeFile } from "node:fs/promises";
 *
 * await mkdir("photos");
 * await writeFile("photos/wide.png", encodePng({ width: 6, height: 4, channels: 1, data: new Uint8Array(24) }));
 * const dataset = await convertDataset({ source: "photos", resolution: 2, transform: "center-crop", greyscale: false, background: "#ffffff" });
 * console.log(dataset.count, dataset.channels, dataset.resolution); // 1 3 2
 * ```
 */
export async function convertDataset(options: ConvertOptions): Promise<ImageDataset> {
  checkConversion(options);
  checkBand(options);
  await loadSharp();
  const { source, resolution, maxImages = Infinity, strict: isStrict = false } = options;
  const reading = readingOf(options);
  const background = await parseColour(options.background);
  return withPictures(source, reading, options.labelsFrom ?? "files", async (pictures) => {
    if (isStrict) refuseLost(source, reading.notices);
    const channels = options.greyscale || pictures.isGrey ? 1 : 3;
    const squaresOptions = { ...options, ...reading, name: source, background, maxImages, isStrict };
    const { pixels, places } = await makeSquares(pictures, channels, squaresOptions);
    const labels = labelsAt(pictures.labels, places);
    return createDataset({ name: source, channels, resolution, pixels, labels, classNames: pictures.classNames });
  });
}

function refuseLost(source: string, { list }: Notices): void {
  const lost = list.find(({ effect, what }) => effect === "left out" && lostPictures.has(what));
  if (lost !== undefined)
    throw new EvenkeelError("file", `${source}: with --strict, no picture is left out. ${describeNotice(lost)}`);
}

function checkBand({ resolution, transform, bandHeight }: ConvertOptions): void {
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `convert: ${problem}.`);
  };
  if (transform === "center-crop-wide") {
    const isBand = bandHeight !== undefined && Number.isInteger(bandHeight) && bandHeight >= 1;
    if (!isBand || bandHeight >= resolution) {
      fail("center-crop-wide needs a resolution wider than high, such as 64x36");
    }
  } else if (bandHeight !== undefined && bandHeight !== resolution) {
    fail(
      `only center-crop-wide takes sizes that aren't square, and ${transform} was given ${resolution}x${bandHeight}`,
    );
  }
}
