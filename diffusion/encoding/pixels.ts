/**
 * 8-bit pixels as a network takes them: u8 / 127.5 - 1, in [-1, 1], each operation rounded to float32. `toPixels` goes the other way.
 */
export function fromPixels(pixels: Uint8Array): Float32Array {
  return Float32Array.from(pixels, (value) => Math.fround(value / 127.5) - 1);
}
