/** Images that somebody brings or draws, on their way to a data set of the lab. */
import {
  convertPictures,
  createDataset,
  describeNotice,
  type ImageDataset,
  labelDimOf,
  Notices,
  openDataset as readDataset,
  openPicked,
  selectImages,
  type SquareTransform,
} from "../../diffusion/data/index.ts";
import { encodePng, imageGrid } from "../../diffusion/sample/index.ts";
import { EvenkeelError, messageOf } from "../../engine/index.ts";
import type { GivenFile } from "../../engine/io/index.ts";
import { plainDatasetName } from "./datasetName.ts";
import { keepDataset } from "./datasets.ts";
import { decodePicture } from "./decodePicture.ts";
import type { DatasetFacts } from "./messages.ts";

/** What is made of pictures. */
export type BringOptions = {
  /** Width and height; null leaves them as they are, which they can be if all are square and of one size. */
  readonly resolution: number | null;
  readonly transform: SquareTransform;
  /** What is seen through transparent pictures and around those that aren't square: red, green, blue, 0 to 255. */
  readonly background: readonly [number, number, number];
  readonly greyscale: boolean;
  /** Whether names such as `cat.12.jpg` give the classes. */
  readonly areNamesClasses: boolean;
};

/** Images that were read, before they are kept. */
export type BroughtImages = {
  /** A name for them. */
  readonly name: string;
  readonly count: number;
  readonly resolution: number;
  readonly channels: number;
  /** Classes that there are; 0 without labels. */
  readonly classes: number;
  readonly classNames: readonly string[] | null;
  /** The resolution that was asked for, or that was taken because pictures couldn't stay as they are. */
  readonly made: number | null;
  /** What was left out, changed or guessed, a line for each kind. */
  readonly told: readonly string[];
  /** Some of them, as a PNG. */
  readonly preview: Blob;
};

/** A picture that was drawn: red, green, blue of each pixel, row by row. */
export type Drawing = { readonly pixels: Uint8Array; readonly className: string };

/** Told what is done, and how far it is. */
type Tell = (what: string, done: number, total: number | null) => void;

/** Larger images would take days to train on in a page. */
const largestOwnResolution = 64;

/** What pictures become that can't stay as they are. */
const usualResolution = 16;

export class Bringing {
  #dataset: ImageDataset | undefined;

  /**
   * Reads files. @param isChosen whether the resolution was chosen: else pictures that can't stay as they are, or are too large to train
   * on, are made smaller, which is told.
   */
  async read(
    title: string,
    files: readonly GivenFile[],
    options: BringOptions,
    isChosen: boolean,
    tell: Tell,
  ): Promise<BroughtImages> {
    if (options.resolution !== null || isChosen) return this.#read(title, files, options, [], tell);
    const small = { ...options, resolution: usualResolution };
    const size = `${usualResolution}×${usualResolution}`;
    let own: BroughtImages;
    try {
      own = await this.#read(title, files, options, [], tell);
    } catch (reason) {
      if (!(reason instanceof EvenkeelError)) throw reason;
      const read = await this.#read(title, files, small, [], tell).catch(() => {
        throw reason;
      });
      return { ...read, told: [`Made ${size}, as they can't stay as they are: ${messageOf(reason)}`, ...read.told] };
    }
    if (own.resolution <= largestOwnResolution) return own;
    const why = `Made ${size}: at ${own.resolution}×${own.resolution} they would take very long to train on in a page.`;
    return this.#read(title, files, small, [why], tell);
  }

  async #read(
    title: string,
    files: readonly GivenFile[],
    { resolution, transform, background, greyscale, areNamesClasses }: BringOptions,
    before: readonly string[],
    tell: Tell,
  ): Promise<BroughtImages> {
    const notices = new Notices();
    const reading = { notices, onProgress: paced(tell) };
    const source = await openPicked(title, files, reading);
    try {
      const dataset =
        resolution === null
          ? await readDataset(source, reading)
          : await convertPictures(
              source,
              {
                resolution,
                transform,
                greyscale,
                background,
                labelsFrom: areNamesClasses ? "names" : "files",
                decode: decodePicture,
              },
              reading,
            );
      this.#dataset = dataset;
      return describe(dataset, resolution, [...before, ...notices.list.map(describeNotice)]);
    } finally {
      await source.close();
    }
  }

  /** Takes drawings, which have as many pixels as each other. Their names are classes if all have one and there are several. */
  draw(drawings: readonly Drawing[], resolution: number): BroughtImages {
    const names = drawings.map(({ className }) => className.trim());
    const classNames = [...new Set(names)].sort();
    const areClasses = classNames.length > 1 && !classNames.includes("");
    const area = resolution ** 2;
    const pixels = new Uint8Array(3 * area * drawings.length);
    for (const [i, drawing] of drawings.entries()) {
      for (let at = 0; at < area; at++) {
        for (let channel = 0; channel < 3; channel++) {
          pixels[(3 * i + channel) * area + at] = drawing.pixels[3 * at + channel] ?? 0;
        }
      }
    }
    const dataset = createDataset({
      name: "drawings",
      channels: 3,
      resolution,
      pixels,
      ...(areClasses ? { labels: names.map((name) => classNames.indexOf(name)), classNames } : {}),
    });
    this.#dataset = dataset;
    const isPartly = !areClasses && classNames.length > 1;
    return describe(dataset, resolution, isPartly ? ["Without classes: some drawings have no class name."] : []);
  }

  /** Keeps what was read or drawn last in the browser's storage. */
  async keep(name: string): Promise<DatasetFacts> {
    if (this.#dataset === undefined) throw new EvenkeelError("value", "There are no images to keep yet.");
    return keepDataset({ ...this.#dataset, name });
  }
}

/** Milliseconds between two tellings: each is a message to the page. */
const pace = 100;

function paced(tell: Tell): Tell {
  let told = 0;
  return (what, done, total) => {
    const now = performance.now();
    if (now - told < pace && done !== total) return;
    told = now;
    tell(what, done, total);
  };
}

/** Images that are shown of a set. */
const shown = 32;

function describe(dataset: ImageDataset, made: number | null, told: readonly string[]): BroughtImages {
  const { name, count, resolution, channels, classNames } = dataset;
  const some = Math.min(shown, count);
  // Evenly spread, as classes often lie one behind the other.
  const { pixels } = selectImages(
    dataset,
    Uint32Array.from({ length: some }, (_, i) => Math.floor((i * count) / some)),
  );
  const scale = Math.max(1, Math.round(32 / resolution));
  const grid = imageGrid(pixels, [some, channels, resolution, resolution], { columns: Math.min(8, some), scale });
  return {
    name: plainDatasetName(name),
    count,
    resolution,
    channels,
    classes: labelDimOf(dataset),
    classNames,
    made,
    told,
    preview: new Blob([new Uint8Array(encodePng(grid))], { type: "image/png" }),
  };
}
