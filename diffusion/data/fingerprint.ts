import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { isLatent, type TrainingDataset } from "./dataset.ts";

/**
 * A hash of everything that training sees of a data set: sizes, pixels, labels.
 * @example
 * ```ts
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [0, 1], classNames: ["a", "b"] });
 * console.log(fingerprint(dataset) === fingerprint(selectImages(dataset, [1]))); // false
 * ```
 */
export function fingerprint(dataset: TrainingDataset): string {
  const { channels, resolution, labels } = dataset;
  const hash = sha256.create();
  const sizes = JSON.stringify([channels, resolution, labels?.kind ?? null, labels?.labelDim ?? 0]);
  hash.update(new TextEncoder().encode(sizes));
  const stored = isLatent(dataset) ? dataset.meanAndDeviation : dataset.pixels;
  hash.update(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
  if (labels !== null) {
    const { buffer, byteOffset, byteLength } = labels.values;
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return bytesToHex(hash.digest()).slice(0, 32);
}
