import { fromFloat16Bits, toFloat16Bits } from "../../engine/io/index.ts";

/** What `roundToFloat16` has to give, by the 16-bit floats of files: subnormal ones are 0 of the same sign. */
export function nearestFloat16(x = 0): number {
  const nearest = fromFloat16Bits(toFloat16Bits(x));
  return Math.abs(nearest) < 2 ** -14 ? 0 * x : nearest;
}

/** Every finite 16-bit float that isn't subnormal, and numbers around the middle between it and its neighbours; then special ones. */
export function float16Neighbours(): Float32Array {
  const all: number[] = [NaN, Infinity, -Infinity, 3e38, -3e38, 1e-40, -1e-40, 65519.99, 65520, -65520, 131072];
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = fromFloat16Bits(bits);
    if (!Number.isFinite(value)) continue;
    const half = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 11);
    all.push(value, value + half, value - half, value + half * (1 - 2 ** -11), value - half * (1 + 2 ** -11));
  }
  return Float32Array.from(all);
}
