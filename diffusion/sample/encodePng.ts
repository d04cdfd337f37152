import { encode } from "fast-png";
import type { Picture } from "./imageGrid.ts";

/**
 * A picture as the bytes of a PNG file of 8 bits a channel: the same wherever it is made.
 * @example
 * ```ts
 * const png = encodePng({ width: 1, height: 1, channels: 1, data: Uint8Array.of(128) });
 * console.log(String.fromCharCode(...png.subarray(1, 4))); // PNG
 * ```
 */
export function encodePng({ width, height, channels, data }: Picture): Uint8Array {
  return encode({ width, height, channels, data, depth: 8 });
}
