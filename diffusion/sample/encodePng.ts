import { encode } from "fast-png";
import type { Picture } from "./imageGrid.ts";

/** A picture as the bytes of a PNG file of 8 bits a channel: the same wherever it is made. */
export function encodePng({ width, height, channels, data }: Picture): Uint8Array {
  return encode({ width, height, channels, data, depth: 8 });
}
