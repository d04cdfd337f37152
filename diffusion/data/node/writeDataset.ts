import { encode } from "fast-png";
import yazl from "yazl";
import { EvenkeelError, eventLoopTurn } from "../../../engine/index.ts";
import { writeFileAtomically } from "../../../engine/io/node.ts";
import type { ImageDataset } from "../dataset.ts";
import { type Reading, readingOf } from "../files/reading.ts";

/** A time for every entry, so that the same images give the same bytes. */
const timeOfEntries = new Date(Date.UTC(2024, 0, 1));

/** Pictures aren't compressed either: they are small, and read in every run. */
const unpacked = { zlib: { level: 0 } } as const;

/**
 * Writes a data set as the reference's tools do: an archive without compression of `00000/img00000000.png` and so on, and
 * `dataset.json`. The same data give the same bytes; the file is written whole or not at all.
 * @throws EvenkeelError `file` if it can't be written or isn't to be a .zip.
 */
export async function writeDataset(
  path: string,
  dataset: ImageDataset,
  reading: Pick<Partial<Reading>, "onProgress"> = {},
): Promise<void> {
  const { onProgress } = readingOf(reading);
  if (!/\.zip$/i.test(path)) throw new EvenkeelError("file", `${path}: a data set's name ends with .zip.`);
  const zip = new yazl.ZipFile();
  const options = { compress: false, mtime: timeOfEntries, mode: 0o100644 };
  const { count, channels, resolution, pixels, labels, classNames } = dataset;
  const size = channels * resolution ** 2;
  const names = Array.from({ length: count }, (_, i) => imageName(i));
  for (const [i, name] of names.entries()) {
    const image = interleave(pixels.subarray(i * size, (i + 1) * size), channels);
    zip.addBuffer(
      Buffer.from(encode({ width: resolution, height: resolution, channels, depth: 8, data: image }, unpacked)),
      name,
      options,
    );
    onProgress(`writing ${path}`, i + 1, count);
    await eventLoopTurn();
  }
  const labelOf = (i: number): number | number[] | undefined => {
    if (labels === null) return undefined;
    if (labels.kind === "classes") return labels.values[i];
    return [...labels.values.subarray(i * labels.labelDim, (i + 1) * labels.labelDim)];
  };
  const description = {
    labels: labels === null ? null : names.map((name, i) => [name, labelOf(i)]),
    ...(classNames === null ? {} : { classNames }),
  };
  zip.addBuffer(Buffer.from(JSON.stringify(description)), "dataset.json", options);
  zip.end();
  await writeFileAtomically(path, async (sink) => {
    for await (const chunk of zip.outputStream) await sink.write(chunk as Buffer);
  });
}

function imageName(index: number): string {
  const digits = String(index).padStart(8, "0");
  return `${digits.slice(0, 5)}/img${digits}.png`;
}

/** [channels, pixels] to the order of a PNG: the channels of a pixel together. */
function interleave(planes: Uint8Array, channels: number): Uint8Array {
  const count = planes.length / channels;
  const image = new Uint8Array(planes.length);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < channels; channel++)
      image[i * channels + channel] = planes[channel * count + i] ?? 0;
  }
  return image;
}
