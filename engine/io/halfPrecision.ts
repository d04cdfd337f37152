/**
 * The two 16-bit float formats of files: IEEE 754 binary16 (f16: 5 exponent bits, 10 mantissa bits) and bfloat16
 * (bf16: 8 and 7). Narrowing rounds once, to nearest with ties to even, straight from f32 or f64; too large becomes
 * infinity, NaN stays NaN and keeps its sign and the upper bits of its payload. Widening to f32 is exact.
 *
 * Everything is done on bits, because moving a NaN through a JavaScript number may change its payload.
 */

type HalfFormat = { readonly mantissaBits: number; readonly exponentBias: number };

const float16: HalfFormat = { mantissaBits: 10, exponentBias: 15 };
const bfloat16: HalfFormat = { mantissaBits: 7, exponentBias: 127 };

/**
 * Rounds 1.mantissa * 2^exponent. `mantissa` holds the 23 bits after the point, `sticky` is 1 if non-zero bits follow
 * them: enough to round correctly, as neither format keeps more than 10.
 */
function roundMagnitude(exponent: number, mantissa: number, sticky: number, format: HalfFormat): number {
  const { mantissaBits, exponentBias } = format;
  if (exponent > exponentBias) return infinityBits(format);
  const minimumExponent = 1 - exponentBias;
  const dropped = 23 - mantissaBits + Math.max(0, minimumExponent - exponent);
  // From here on the value is below half of the smallest subnormal.
  if (dropped > 24) return 0;
  const significand = 0x800000 | mantissa;
  const kept = significand >>> dropped;
  const rest = significand & ((1 << dropped) - 1);
  const half = 1 << (dropped - 1);
  const up = rest > half || (rest === half && (sticky | (kept & 1)) !== 0) ? 1 : 0;
  // `kept` of a normal number holds the leading 1, which adds one to the exponent field; so does a carry of `up`.
  const exponentField = Math.max(0, exponent + exponentBias - 1);
  return (exponentField << mantissaBits) + kept + up;
}

function infinityBits({ mantissaBits }: HalfFormat): number {
  return 0x7fff & -(1 << mantissaBits);
}

function notANumberBits(mantissa: number, format: HalfFormat): number {
  const payload = mantissa >>> (23 - format.mantissaBits);
  const quiet = 1 << (format.mantissaBits - 1);
  return infinityBits(format) | (payload === 0 ? quiet : payload);
}

function narrowFloat32(bits: number, format: HalfFormat): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponentField = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponentField === 0xff) return sign | (mantissa === 0 ? infinityBits(format) : notANumberBits(mantissa, format));
  if (exponentField !== 0) return sign | roundMagnitude(exponentField - 127, mantissa, 0, format);
  if (mantissa === 0) return sign;
  const shift = Math.clz32(mantissa) - 8;
  return sign | roundMagnitude(-126 - shift, (mantissa << shift) & 0x7fffff, 0, format);
}

function narrowFloat64(high: number, low: number, format: HalfFormat): number {
  const sign = (high >>> 16) & 0x8000;
  const exponentField = (high >>> 20) & 0x7ff;
  const mantissa = ((high & 0xfffff) << 3) | (low >>> 29);
  const sticky = (low & 0x1fffffff) === 0 ? 0 : 1;
  if (exponentField === 0x7ff) {
    return sign | ((mantissa | sticky) === 0 ? infinityBits(format) : notANumberBits(mantissa, format));
  }
  // Subnormal f64 (below 2^-1022) are far below half of the smallest subnormal of either format.
  if (exponentField === 0) return sign;
  return sign | roundMagnitude(exponentField - 1023, mantissa, sticky, format);
}

function widenFloat16(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponentField = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponentField === 0x1f) return sign | 0x7f800000 | (mantissa << 13);
  if (exponentField !== 0) return sign | ((exponentField + 127 - 15) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  const shift = Math.clz32(mantissa) - 21;
  return sign | ((127 - 14 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
}

const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);
const scratchSingle = new Float32Array(scratch.buffer, 0, 1);

function narrowNumber(value: number, format: HalfFormat): number {
  scratch[0] = value;
  return narrowFloat64(scratchWords[1] ?? 0, scratchWords[0] ?? 0, format);
}

function widenToNumber(bits: number): number {
  scratchWords[0] = bits;
  return scratchSingle[0] ?? 0;
}

/**
 * The bits of the f16 nearest to `value` (ties to even); magnitudes from 65520 on become infinity.
 * @example console.log(toFloat16Bits(1).toString(16)); // 3c00
 */
export function toFloat16Bits(value: number): number {
  return narrowNumber(value, float16);
}

/**
 * The value of an f16, exactly. Only the low 16 bits are looked at.
 * @example console.log(fromFloat16Bits(0x3c00)); // 1
 */
export function fromFloat16Bits(bits: number): number {
  return widenToNumber(widenFloat16(bits));
}

/**
 * The bits of the bf16 nearest to `value` (ties to even), rounded once even though `value` has 53 bits.
 * @example console.log(toBfloat16Bits(1).toString(16)); // 3f80
 */
export function toBfloat16Bits(value: number): number {
  return narrowNumber(value, bfloat16);
}

/**
 * The value of a bf16, exactly. Only the low 16 bits are looked at.
 * @example console.log(fromBfloat16Bits(0x3f80)); // 1
 */
export function fromBfloat16Bits(bits: number): number {
  return widenToNumber(bits << 16);
}

function encode(source: Float32Array | Float64Array, format: HalfFormat): Uint16Array<ArrayBuffer> {
  const target = new Uint16Array(source.length);
  if (source instanceof Float32Array) {
    const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
    for (let i = 0; i < target.length; i++) target[i] = narrowFloat32(words[i] ?? 0, format);
  } else {
    const words = new Uint32Array(source.buffer, source.byteOffset, 2 * source.length);
    for (let i = 0; i < target.length; i++) {
      target[i] = narrowFloat64(words[2 * i + 1] ?? 0, words[2 * i] ?? 0, format);
    }
  }
  return target;
}

/**
 * The bits of each element as f16, rounded to nearest even.
 * @example console.log(encodeFloat16(Float32Array.of(1, -2))); // Uint16Array(2) [ 15360, 49152 ]
 */
export function encodeFloat16(source: Float32Array | Float64Array): Uint16Array<ArrayBuffer> {
  return encode(source, float16);
}

/**
 * The bits of each element as bf16, rounded to nearest even.
 * @example console.log(encodeBfloat16(Float32Array.of(1, -2))); // Uint16Array(2) [ 16256, 49152 ]
 */
export function encodeBfloat16(source: Float32Array | Float64Array): Uint16Array<ArrayBuffer> {
  return encode(source, bfloat16);
}

/**
 * The f32 value of each f16, exactly; `encodeFloat16` gives the same bits back, NaNs included.
 * @example console.log(decodeFloat16(Uint16Array.of(0x3c00, 0xc000))); // Float32Array(2) [ 1, -2 ]
 */
export function decodeFloat16(source: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(source.length);
  for (let i = 0; i < words.length; i++) words[i] = widenFloat16(source[i] ?? 0);
  return new Float32Array(words.buffer);
}

/**
 * The f32 value of each bf16, exactly; `encodeBfloat16` gives the same bits back, NaNs included.
 * @example console.log(decodeBfloat16(Uint16Array.of(0x3f80, 0xc000))); // Float32Array(2) [ 1, -2 ]
 */
export function decodeBfloat16(source: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(source.length);
  for (let i = 0; i < words.length; i++) words[i] = (source[i] ?? 0) << 16;
  return new Float32Array(words.buffer);
}
