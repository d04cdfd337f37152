import { encode } from "fast-png";
import { eventLoopTurn } from "../../../engine/index.ts";
import { type FileSink, type WritableZipEntry, writeZip } from "../../../engine/io/index.ts";
import type { ImageDataset } from "../dataset.ts";

/** A time for every entry, so that the same images give the same bytes. */
const modified = new Date(Date.UTC(2024, 0, 1));

/** Pictures aren't compressed either: they are small, and read in every run. */
const unpacked = { zlib: { level: 0 } } as const;

/**
 * Writes a data set as the reference's tools do: an archive without compression of `00000/img00000000.png` and so on, and
 * `dataset.json`. The same data give the same bytes.
 * @param sink where the archive goes; what was written is worth nothing if this fails.
 * @param onImage told how many images there were, of how many.
 * @throws what the sink throws.
 * @example
 * ```ts
 * import { memoryFolder, ZipArchive } from "evenkeel/engine/io";
 *
 * const pixels = Uint8Array.of(0, 1, 2, 3);
 * const dataset = createDataset({ name: "one", channels: 1, resolution: 2, pixels, labels: [0], classNames: ["a"] });
 * const file = memoryFolder().file("one.zip");
 * await file.write((sink) => writeDatasetZip(sink, dataset));
 * const { entries } = await ZipArchive.open(await file.open(), "one.zip");
 * console.log(entries.map(({ name }) => name)); // [ '00000/img00000000.png', 'dataset.json' ]
 * ```
 */
export function writeDatasetZip(
  sink: FileSink,
  dataset: ImageDataset,
  onImage: (done: number, total: number) => void = () => undefined,
): Promise<void> {
  return writeZip(
    sink,
    filesOf(dataset, (done) => onImage(done, dataset.count)),
  );
}

/** The files of a data set's archive. @param onImage told how many images there were. */
async function* filesOf(
  { count, channels, resolution, pixels, labels, classNames }: ImageDataset,
  onImage: (done: number) => void,
): AsyncGenerator<WritableZipEntry> {
  const size = channels * resolution ** 2;
  const names = Array.from({ length: count }, (_, i) => imageName(i));
  for (const [i, name] of names.entries()) {
    const data = interleave(pixels.subarray(i * size, (i + 1) * size), channels);
    const content = encode({ width: resolution, height: resolution, channels, depth: 8, data }, unpacked);
    yield { name, modified, content };
    onImage(i + 1);
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
  yield { name: "dataset.json", modified, content: new TextEncoder().encode(JSON.stringify(description)) };
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
