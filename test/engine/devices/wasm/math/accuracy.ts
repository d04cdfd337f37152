import assert from "node:assert/strict";

/** Distance of neighbouring float32 numbers at `value`: of the binade it is in, 2^-149 among subnormal numbers. */
export function ulp(value: number): number {
  scratch[0] = Math.min(Math.abs(value), 2 ** 127);
  // Keeps the exponent. Rounding may have carried into the next binade, where the ulp is twice as large.
  bits[0] = (bits[0] ?? 0) & 0x7f80_0000;
  const power = scratch[0];
  return Math.max((Math.abs(value) < power ? power / 2 : power) * 2 ** -23, 2 ** -149);
}

const scratch = new Float32Array(1);
const bits = new Uint32Array(scratch.buffer);

/**
 * Error of a float32 `actual` against the float64 `expected`, in ulps of the latter. Infinite unless NaN meets NaN, a
 * zero a zero of the same sign, and an infinity whatever rounds to it.
 */
export function errorInUlps(actual: number, expected: number): number {
  const rounded = Math.fround(expected);
  if (Object.is(actual, rounded) && !(Number.isFinite(rounded) && rounded !== 0)) return 0;
  if (Number.isNaN(actual) || Number.isNaN(expected) || !Number.isFinite(actual)) return Infinity;
  if (expected === 0) return Object.is(actual, expected) ? 0 : Infinity;
  return Math.abs(actual - expected) / ulp(expected);
}

/** Asserts that every result is within `bound` ulps, or says which argument is worst. Returns the worst error. */
export function assertWithinUlps(
  name: string,
  results: Float32Array,
  expected: (index: number) => number,
  argument: (index: number) => string,
  bound: number,
): number {
  let worst = 0;
  let worstIndex = 0;
  results.forEach((result, index) => {
    const error = errorInUlps(result, expected(index));
    if (error > worst) [worst, worstIndex] = [error, index];
  });
  assert.ok(
    worst <= bound,
    `${name}(${argument(worstIndex)}) = ${results[worstIndex]}, exactly ${expected(worstIndex)}: ` +
      `${worst} ulp, allowed ${bound}`,
  );
  return worst;
}

/** `count` float32 evenly spread over the bit patterns, thus over all magnitudes, both signs, NaNs and infinities. */
export function everyMagnitude(count: number): Float32Array {
  // 2^32 / golden ratio: its multiples are evenly spread for any count.
  return new Float32Array(Uint32Array.from({ length: count }, (_, index) => Math.imul(index, 0x9e37_79b9)).buffer);
}

/** `count` float32 spread evenly (golden ratio sequence) between `low` and `high`. */
export function evenly(low: number, high: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, index) => low + (high - low) * ((index * 0.618033988749895) % 1));
}

/** Values at which float32 functions tend to be wrong. */
export const specialFloats: readonly number[] = [
  0,
  2 ** -149,
  3 * 2 ** -149,
  2 ** -127,
  2 ** -126 - 2 ** -149,
  2 ** -126,
  2 ** -64,
  2 ** -26,
  2 ** -25,
  2 ** -24,
  2 ** -13,
  2 ** -12,
  0.3465735,
  0.5,
  Math.SQRT1_2,
  0.75,
  Math.PI / 4,
  1 - 2 ** -24,
  1,
  1 + 2 ** -23,
  Math.SQRT2,
  Math.PI / 2,
  2,
  2.5,
  3,
  Math.PI,
  9,
  10,
  17.3,
  20,
  63,
  64,
  65,
  87.33654,
  88.37626,
  88.72283,
  88.72284,
  89,
  103.27893,
  103.97208,
  103.97209,
  104,
  128,
  255,
  2 ** 20 - 1,
  2 ** 20,
  2 ** 20 + 1,
  2 ** 22,
  2 ** 23 - 0.5,
  2 ** 23 + 1,
  2 ** 24 - 1,
  2 ** 24,
  2 ** 31 - 128,
  2 ** 31,
  2 ** 32 - 256,
  2 ** 32,
  2 ** 63,
  2 ** 100,
  2 ** 127,
  (2 - 2 ** -23) * 2 ** 127,
  Infinity,
]
  .flatMap((value) => [value, -value])
  .concat(NaN)
  .map(Math.fround);
