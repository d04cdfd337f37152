import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  fromBfloat16Bits,
  fromFloat16Bits,
  toBfloat16Bits,
  toFloat16Bits,
} from "../../../engine/io/halfPrecision.ts";

type Half = {
  name: string;
  exponentBits: number;
  mantissaBits: number;
  toBits: (value: number) => number;
  fromBits: (bits: number) => number;
  encode: (source: Float32Array | Float64Array) => Uint16Array;
  decode: (source: Uint16Array) => Float32Array;
};

const halves: readonly Half[] = [
  {
    name: "f16",
    exponentBits: 5,
    mantissaBits: 10,
    toBits: toFloat16Bits,
    fromBits: fromFloat16Bits,
    encode: encodeFloat16,
    decode: decodeFloat16,
  },
  {
    name: "bf16",
    exponentBits: 8,
    mantissaBits: 7,
    toBits: toBfloat16Bits,
    fromBits: fromBfloat16Bits,
    encode: encodeBfloat16,
    decode: decodeBfloat16,
  },
];

const allBits = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** The value of 16 bits by IEEE 754's definition. */
function definition(bits: number, { exponentBits, mantissaBits }: Half): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = Math.floor((bits % 0x8000) / 2 ** mantissaBits);
  const fraction = (bits % 2 ** mantissaBits) / 2 ** mantissaBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** Bits of infinity: the number of finite values of one sign. */
function infinity({ exponentBits, mantissaBits }: Half): number {
  return (2 ** exponentBits - 1) * 2 ** mantissaBits;
}

/**
 * The correctly rounded bits, by looking for the neighbours of `value` among all values. Infinity stands at the place
 * the next value would have: that is IEEE's rule for overflow.
 */
function nearest(value: number, half: Half): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  const last = infinity(half);
  const top = 2 * definition(last - 2 ** half.mantissaBits, half);
  const place = (bits: number) => (bits === last ? top : definition(bits, half));
  if (magnitude >= place(last)) return sign | last;
  let below = 0;
  let above = last;
  while (above - below > 1) {
    const middle = (below + above) >> 1;
    if (place(middle) <= magnitude) below = middle;
    else above = middle;
  }
  const tie = (place(below) + place(above)) / 2; // exact in f64: one more bit than the format has
  if (magnitude === tie) return sign | (below % 2 === 0 ? below : above);
  return sign | (magnitude < tie ? below : above);
}

/** The f64 next to a positive number. */
function step(value: number, by: 1 | -1): number {
  const words = new BigInt64Array(Float64Array.of(value).buffer);
  words[0] = (words[0] ?? 0n) + BigInt(by);
  return new Float64Array(words.buffer)[0] ?? 0;
}

const anyFloat64 = fc.oneof(
  fc.double({ noNaN: true }),
  // Exponents around the ranges of both formats are rare among all doubles.
  fc
    .tuple(fc.double({ min: -2, max: 2, noNaN: true }), fc.integer({ min: -160, max: 130 }))
    .map(([m, e]) => m * 2 ** e),
);

for (const half of halves) {
  describe(half.name, () => {
    it("has the value IEEE 754 defines for all 65536 bit patterns", () => {
      const decoded = half.decode(allBits);
      for (const bits of allBits) {
        const expected = definition(bits, half);
        assert.ok(Object.is(half.fromBits(bits), expected), `scalar 0x${bits.toString(16)}`);
        assert.ok(Object.is(decoded[bits], expected), `array 0x${bits.toString(16)}`);
      }
    });

    it("gives every bit pattern back, NaN payloads and signs included", () => {
      assert.deepEqual(half.encode(half.decode(allBits)), allBits);
      for (const bits of allBits) {
        const value = half.fromBits(bits);
        if (!Number.isNaN(value)) assert.equal(half.toBits(value), bits);
      }
    });

    it("rounds correctly on both sides of every decision: exhaustive over neighbouring values", () => {
      const last = infinity(half);
      const values: number[] = [];
      const expected: number[] = [];
      const largest = definition(last - 1, half);
      for (let bits = 0; bits < last; bits++) {
        const next = bits + 1 === last ? largest + (largest - definition(last - 2, half)) : definition(bits + 1, half);
        const tie = (definition(bits, half) + next) / 2;
        values.push(step(tie, -1), tie, step(tie, 1));
        expected.push(bits, bits % 2 === 0 ? bits : bits + 1, bits + 1);
      }
      const negative = values.map((value) => -value);
      assert.deepEqual([...half.encode(Float64Array.from(values))], expected);
      assert.deepEqual(
        [...half.encode(Float64Array.from(negative))],
        expected.map((bits) => bits | 0x8000),
      );
      // The same from f32: most ties are exact there, and the f32 next to one must not be taken for it.
      const ties = values.filter((tie, i) => i % 3 === 1 && tie < 2 ** 128 && Math.fround(tie) === tie);
      assert.ok(ties.length > last - 2);
      const tieWords = [...new Uint32Array(Float32Array.from(ties).buffer)];
      const singles = new Float32Array(Uint32Array.from(tieWords.flatMap((word) => [word - 1, word, word + 1])).buffer);
      assert.deepEqual(
        [...half.encode(singles)],
        [...singles].map((value) => nearest(value, half)),
      );
    });

    it("rounds random f64 to the nearest, in one step", () => {
      fc.assert(
        fc.property(anyFloat64, (value) => {
          assert.equal(half.toBits(value), nearest(value, half));
          assert.equal(half.encode(Float64Array.of(value))[0], nearest(value, half));
        }),
        { numRuns: 5000 },
      );
    });

    it("rounds random f32 bit patterns, subnormals among them, to the nearest", () => {
      fc.assert(
        fc.property(
          fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 0x7fffff })),
          (word) => {
            const source = new Float32Array(Uint32Array.of(word).buffer);
            const value = source[0] ?? 0;
            const bits = half.encode(source)[0] ?? 0;
            if (Number.isNaN(value)) {
              assert.ok(Number.isNaN(definition(bits, half)));
              assert.equal(bits >>> 15, word >>> 31);
            } else {
              assert.equal(bits, nearest(value, half));
            }
          },
        ),
        { numRuns: 5000 },
      );
    });

    it("keeps NaN a NaN, also one whose payload is cut off entirely", () => {
      assert.ok(Number.isNaN(half.fromBits(half.toBits(Number.NaN))));
      const lowPayload = new Float32Array(Uint32Array.of(0x7f800001, 0xff800001).buffer);
      assert.ok(half.decode(half.encode(lowPayload)).every(Number.isNaN));
      const lowPayload64 = new Float64Array(Uint32Array.of(1, 0x7ff00000, 1, 0xfff00000).buffer);
      assert.ok(half.decode(half.encode(lowPayload64)).every(Number.isNaN));
    });

    it("maps infinities and zeros to themselves", () => {
      for (const value of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0]) {
        assert.ok(Object.is(half.fromBits(half.toBits(value)), value));
      }
    });

    it("encodes views that begin in the middle of a buffer", () => {
      const values = Float64Array.of(9, 1.5, -2.25);
      assert.deepEqual(half.encode(values.subarray(1)), half.encode(Float64Array.of(1.5, -2.25)));
      assert.deepEqual(half.encode(Float32Array.from(values).subarray(1)), half.encode(Float32Array.of(1.5, -2.25)));
    });
  });
}

describe("single rounding", () => {
  it("differs from rounding to f32 first, and is the right one", () => {
    // Just above the tie between 1 and 1 + 2^-10; f32 would round it onto the tie, which then goes down to 1.
    const value = 1 + 2 ** -11 + 2 ** -40;
    assert.equal(toFloat16Bits(value), 0x3c01);
    assert.equal(toFloat16Bits(Math.fround(value)), 0x3c00);
    const wide = 1 + 2 ** -8 + 2 ** -40;
    assert.equal(toBfloat16Bits(wide), 0x3f81);
    assert.equal(toBfloat16Bits(Math.fround(wide)), 0x3f80);
  });

  it("has the limits of binary16", () => {
    assert.equal(toFloat16Bits(65504), 0x7bff);
    assert.equal(toFloat16Bits(65519.999), 0x7bff);
    assert.equal(toFloat16Bits(65520), 0x7c00);
    assert.equal(toFloat16Bits(2 ** -24), 1);
    assert.equal(toFloat16Bits(2 ** -25), 0);
    assert.equal(toFloat16Bits(-Number.MIN_VALUE), 0x8000);
  });
});
