import { isRefused, refusedFiles } from "../files/fileSource.ts";
import type { Pictures } from "../files/pictures.ts";
import { type LabelledPictures, withPictures } from "./pictures.ts";
import { type Reading, readingOf } from "../files/reading.ts";
import { loadSharp } from "./sharp.ts";

/** What there is to make a data set of: pictures of any sizes. */
export type Survey = {
  readonly count: number;
  /** How many pictures have each size, such as `640x480`, the most frequent first. */
  readonly sizes: readonly (readonly [size: string, count: number])[];
  readonly labels: Pictures["labels"];
  readonly classNames: readonly string[] | null;
};

/**
 * Looks at the sizes and labels of pictures that needn't be a data set yet. Those whose size can't be read are told to
 * `reading.notices`. @throws EvenkeelError `file` if there are none.
 * @example
 * ```ts
 * import { encodePng } from "evenkeel/diffusion/sample";
 * import { mkdir, writeFile } from "node:fs/promises";
 *
 * await mkdir("pictures");
 * await writeFile("pictures/wide.png", encodePng({ width: 6, height: 4, channels: 1, data: new Uint8Array(24) }));
 * const { count, sizes } = await surveyPictures("pictures");
 * console.log(count, sizes); // 1 [ [ '6x4', 1 ] ]
 * ```
 */
export async function surveyPictures(path: string, reading: Partial<Reading> = {}): Promise<Survey> {
  await loadSharp();
  const whole = readingOf(reading);
  return withPictures(path, whole, "files", (pictures) => surveyOf(path, pictures, whole));
}

async function surveyOf(path: string, pictures: LabelledPictures, { notices, onProgress }: Reading): Promise<Survey> {
  const sizes = new Map<string, number>();
  for (let i = 0; i < pictures.count; i++) {
    try {
      const { width, height } = await (await pictures.read(i)).image.metadata();
      const size = `${width}x${height}`;
      sizes.set(size, (sizes.get(size) ?? 0) + 1);
    } catch (cause) {
      const what = isRefused(cause) ? refusedFiles : "pictures whose size can't be read";
      notices.add("left out", what, pictures.nameOf(i));
    }
    onProgress(`looking at ${path}`, i + 1, pictures.count);
  }
  const { count, labels, classNames } = pictures;
  return { count, sizes: [...sizes].sort(([, a], [, b]) => b - a), labels, classNames };
}
