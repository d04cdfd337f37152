import { createHash } from "node:crypto";
import type { ImageDataset } from "../dataset.ts";

/** A hash of everything that training sees of a data set: sizes, pixels, labels. */
export function fingerprint({ channels, resolution, pixels, labels }: ImageDataset): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([channels, resolution, labels?.kind ?? null, labels?.labelDim ?? 0]));
  hash.update(pixels);
  if (labels !== null) {
    const { buffer, byteOffset, byteLength } = labels.values;
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest("hex").slice(0, 32);
}
