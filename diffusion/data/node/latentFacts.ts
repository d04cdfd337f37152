import { EvenkeelError } from "../../../engine/index.ts";
import type { LabelList } from "../dataset.ts";
import { contentsOf } from "../files/contents.ts";
import { withFiles } from "./imageSource.ts";
import { readLabels } from "../files/labels.ts";
import { numbersOfNpy, parseNpy } from "../files/npyFile.ts";
import type { FileSource } from "../files/fileSource.ts";
import type { Reading } from "../files/reading.ts";

/** What a set of latents holds: each a file of means of `channels` channels, then as many standard deviations. */
export type LatentFacts = {
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Of each channel, of all latents that can be drawn. */
  readonly channelMean: readonly number[];
  readonly channelStd: readonly number[];
  readonly labels: LabelList | null;
  readonly classNames: readonly string[] | null;
};

/**
 * Whether a folder or zip holds latents rather than images. @throws EvenkeelError `file` if it holds neither.
 * @example
 * ```ts
 * import { encodeNpy } from "evenkeel/diffusion/data";
 * import { mkdir, writeFile } from "node:fs/promises";
 *
 * await mkdir("encoded/00000", { recursive: true });
 * await writeFile("encoded/00000/img-mean-std-00000000.npy", encodeNpy(new Float32Array(8 * 16).fill(1), [8, 4, 4]));
 * console.log(await holdsLatents("encoded")); // true
 * ```
 */
export async function holdsLatents(path: string): Promise<boolean> {
  return withFiles(path, {}, async (source, { notices }) => (await contentsOf(source, notices)).form === "latents");
}

/**
 * Looks through a folder or zip of latents as the reference's tool encodes them, `img-mean-std-*.npy`, real numbers [2 C, H, W]. Holds one
 * at a time.
 * @throws EvenkeelError `file` that names the file that is damaged or doesn't fit the others, or if there are no latents.
 * @example
 * ```ts
 * import { encodeNpy } from "evenkeel/diffusion/data";
 * import { mkdir, writeFile } from "node:fs/promises";
 *
 * await mkdir("latents/00000", { recursive: true });
 * await writeFile("latents/00000/img-mean-std-00000000.npy", encodeNpy(new Float32Array(8 * 16).fill(1), [8, 4, 4]));
 * const { count, channels, channelStd } = await latentFacts("latents");
 * console.log(count, channels, channelStd); // 1 4 [ 1, 1, 1, 1 ]
 * ```
 */
export async function latentFacts(path: string, reading: Partial<Reading> = {}): Promise<LatentFacts> {
  return withFiles(path, reading, factsOf);
}

async function factsOf(source: FileSource, { notices, onProgress }: Reading): Promise<LatentFacts> {
  const contents = await contentsOf(source, notices);
  if (contents.form !== "latents") throw new EvenkeelError("file", `${source.name} holds no latents.`);
  const { images, labels, classNames } = await readLabels(source, contents.files, notices);
  let form = "";
  let [channels, height, width] = [0, 0, 0];
  const sums: number[] = [];
  const squares: number[] = [];
  for (const [i, file] of images.entries()) {
    const name = source.nameOf(file);
    const array = parseNpy(await source.read(file), name);
    const own = array.shape.join(", ");
    if (i === 0)
      [form, channels, height, width] = [own, (array.shape[0] ?? 0) / 2, array.shape[1] ?? 0, array.shape[2] ?? 0];
    if (own !== form || array.shape.length !== 3 || !Number.isInteger(channels)) {
      throw new EvenkeelError(
        "file",
        `${name} is [${own}], ${i === 0 ? "expected [2 C, H, W], means and deviations" : `others are [${form}]`}.`,
      );
    }
    const numbers = numbersOfNpy(array, name);
    const area = height * width;
    for (let channel = 0; channel < channels; channel++) {
      for (let at = channel * area; at < (channel + 1) * area; at++) {
        const [mean, deviation] = [numbers[at] ?? 0, numbers[at + channels * area] ?? 0];
        sums[channel] = (sums[channel] ?? 0) + mean;
        squares[channel] = (squares[channel] ?? 0) + mean ** 2 + deviation ** 2;
      }
    }
    onProgress(`reading ${source.name}`, i + 1, images.length);
  }
  const each = images.length * height * width;
  const channelMean = sums.map((sum) => sum / each);
  const channelStd = squares.map((square, channel) => Math.sqrt(square / each - (channelMean[channel] ?? 0) ** 2));
  return { count: images.length, channels, height, width, channelMean, channelStd, labels, classNames };
}
