import { EvenkeelError } from "../../../engine/index.ts";
import { writeFileAtomically } from "../../../engine/io/node.ts";
import type { ImageDataset } from "../dataset.ts";
import { writeDatasetZip } from "../files/datasetZip.ts";
import { type Reading, readingOf } from "../files/reading.ts";

/**
 * Writes a data set as `writeDatasetZip` does, to a file, whole or not at all.
 * @throws EvenkeelError `file` if it can't be written or isn't to be a .zip.
 * @example
 * ```ts
 * import { createDataset } from "evenkeel/diffusion/data";
 *
 * const pixels = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);
 * await writeDataset("two.zip", createDataset({ name: "two", channels: 1, resolution: 2, pixels, labels: [1, 0], classNames: ["a", "b"] }));
 * console.log((await openDataset("two.zip")).classNames); // [ 'a', 'b' ]
 * ```
 */
export async function writeDataset(
  path: string,
  dataset: ImageDataset,
  reading: Pick<Partial<Reading>, "onProgress"> = {},
): Promise<void> {
  const { onProgress } = readingOf(reading);
  if (!/\.zip$/i.test(path)) throw new EvenkeelError("value", `${path}: a data set's name ends with .zip.`);
  await writeFileAtomically(path, (sink) =>
    writeDatasetZip(sink, dataset, (done, total) => onProgress(`writing ${path}`, done, total)),
  );
}
