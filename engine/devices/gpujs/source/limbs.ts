/**
 * 32-bit integers in f32 arithmetic. A value is two limbs of 16 bits, each a whole number 0..65535 held in an f32;
 * negative i32 are in two's complement. No intermediate result reaches 2^24 unless it is a multiple of a power of two
 * that leaves at most 24 significant bits, so every step is exact in f32 and in f64.
 */
import type { KernelWriter } from "./writer.ts";

/** Texts of the high and the low 16 bits. */
export type Limbs = { readonly high: string; readonly low: string };

/** The limbs of a host integer (i32 or u32). */
export function literalLimbs(value: number): Limbs {
  return { high: String((value >>> 16) & 0xffff), low: String(value & 0xffff) };
}

export function atomLimbs(writer: KernelWriter, x: Limbs): Limbs {
  return { high: writer.atom(x.high), low: writer.atom(x.low) };
}

/**
 * A whole number of size below 2^24 as its low 16 bits and what is above them, possibly negative. Without branches:
 * drivers take minutes over a kernel with several hundred of them, as one with Threefry would have.
 */
function carried(writer: KernelWriter, sum: string): { readonly carry: string; readonly limb: string } {
  const whole = writer.atom(sum);
  const carry = writer.local(`Math.floor(${whole} * ${1 / 65536})`);
  return { carry, limb: `(${whole} - ${carry} * 65536)` };
}

/** The value of two sums of limbs modulo 2^32, the low one's carry added to the high one. */
function fromSums(writer: KernelWriter, high: string, low: string): Limbs {
  const { carry, limb } = carried(writer, writer.local(`(${low})`));
  return {
    high: writer.local(carried(writer, writer.local(`(${high} + ${carry})`)).limb),
    low: writer.local(limb),
  };
}

/** x + y modulo 2^32. */
export function addLimbs(writer: KernelWriter, x: Limbs, y: Limbs): Limbs {
  return fromSums(writer, `${x.high} + ${y.high}`, `${x.low} + ${y.low}`);
}

/** -x modulo 2^32. */
export function negateLimbs(writer: KernelWriter, x: Limbs): Limbs {
  return fromSums(writer, `65535 - ${x.high}`, `65536 - ${x.low}`);
}

/** x - y modulo 2^32. */
export function subtractLimbs(writer: KernelWriter, x: Limbs, y: Limbs): Limbs {
  return fromSums(writer, `${x.high} - ${y.high}`, `${x.low} - ${y.low}`);
}

/** x * y modulo 2^32. */
export function multiplyLimbs(writer: KernelWriter, x: Limbs, y: Limbs): Limbs {
  return {
    high: writer.local(writer.call("multiplyHigh", x.high, x.low, y.high, y.low)),
    low: writer.local(writer.call("multiplyLow", x.low, y.low)),
  };
}

/** The quotient towards zero, 0 where y is 0; -2^31 / -1 wraps to -2^31. */
export function divideLimbs(writer: KernelWriter, x: Limbs, y: Limbs, signed: boolean): Limbs {
  const unsigned = (dividend: Limbs, divisor: Limbs): Limbs => {
    const call = writer.call("divideHalves", dividend.high, dividend.low, divisor.high, divisor.low);
    const halves = writer.local(call);
    return { high: `${halves}[0]`, low: `${halves}[1]` };
  };
  if (!signed) return unsigned(x, y);
  const isNegative = ({ high }: Limbs): string => `${high} >= 32768`;
  const size = (value: Limbs): Limbs => selectLimbs(writer, isNegative(value), negateLimbs(writer, value), value);
  const quotient = unsigned(size(x), size(y));
  const signs = writer.local(`((${isNegative(x)} ? 1 : 0) + (${isNegative(y)} ? 1 : 0))`);
  return selectLimbs(writer, `${signs} === 1`, negateLimbs(writer, quotient), quotient);
}

/** Helpers that combine two limbs bit by bit. */
export type BitwiseHelper = "andHalves" | "orHalves" | "xorHalves";

export function bitwiseLimbs(writer: KernelWriter, helper: BitwiseHelper, x: Limbs, y: Limbs): Limbs {
  return {
    high: writer.local(writer.call(helper, x.high, y.high)),
    low: writer.local(writer.call(helper, x.low, y.low)),
  };
}

export function notLimbs(writer: KernelWriter, x: Limbs): Limbs {
  return { high: writer.local(`(65535 - ${x.high})`), low: writer.local(`(65535 - ${x.low})`) };
}

/** floor(x / 2^bits) and x modulo 2^bits of a whole number below 2^24. */
function splitAt(writer: KernelWriter, x: string, bits: number): { readonly upper: string; readonly lower: string } {
  const scale = 2 ** bits;
  const upper = writer.local(`Math.floor(${x} * ${1 / scale})`);
  return { upper, lower: writer.local(`(${x} - ${upper} * ${scale})`) };
}

export function shiftLeftLimbs(writer: KernelWriter, x: Limbs, amount: number): Limbs {
  if (amount === 0) return x;
  if (amount === 16) return { high: x.low, low: "0" };
  if (amount > 16) {
    const { lower } = splitAt(writer, x.low, 32 - amount);
    return { high: writer.local(`(${lower} * ${2 ** (amount - 16)})`), low: "0" };
  }
  const high = splitAt(writer, x.high, 16 - amount);
  const low = splitAt(writer, x.low, 16 - amount);
  return {
    high: writer.local(`(${high.lower} * ${2 ** amount} + ${low.upper})`),
    low: writer.local(`(${low.lower} * ${2 ** amount})`),
  };
}

/** Logical for u32, arithmetic for i32. */
export function shiftRightLimbs(writer: KernelWriter, x: Limbs, amount: number, signed: boolean): Limbs {
  if (amount === 0) return x;
  const negative = signed ? writer.local(`(${x.high} >= 32768 ? 1 : 0)`) : null;
  /** The ones that come in from above: the top `bits` bits of a 16-bit limb. */
  const fill = (bits: number): string => (negative === null ? "" : ` + ${negative} * ${65536 - 2 ** (16 - bits)}`);
  if (amount >= 16) {
    const high = negative === null ? "0" : writer.local(`(${negative} * 65535)`);
    if (amount === 16) return { high, low: x.high };
    const { upper } = splitAt(writer, x.high, amount - 16);
    return { high, low: writer.local(`(${upper}${fill(amount - 16)})`) };
  }
  const high = splitAt(writer, x.high, amount);
  const low = splitAt(writer, x.low, amount);
  return {
    high: writer.local(`(${high.upper}${fill(amount)})`),
    low: writer.local(`(${high.lower} * ${2 ** (16 - amount)} + ${low.upper})`),
  };
}

/** The high limb as -32768..32767. */
export function signedHigh(writer: KernelWriter, x: Limbs): string {
  return writer.local(`(${x.high} >= 32768 ? ${x.high} - 65536 : ${x.high})`);
}

/** A number with the sign of x - y, 0 exactly when they are equal: only its lowest bits are rounded. */
export function differenceOfLimbs(writer: KernelWriter, x: Limbs, y: Limbs, signed: boolean): string {
  const xHigh = signed ? signedHigh(writer, x) : x.high;
  const yHigh = signed ? signedHigh(writer, y) : y.high;
  return writer.local(`((${xHigh} - ${yHigh}) * 65536 + (${x.low} - ${y.low}))`);
}

/** `condition ? x : y`; `condition` is the text of a condition and is evaluated twice. */
export function selectLimbs(writer: KernelWriter, condition: string, x: Limbs, y: Limbs): Limbs {
  return {
    high: writer.local(`(${condition} ? ${x.high} : ${y.high})`),
    low: writer.local(`(${condition} ? ${x.low} : ${y.low})`),
  };
}
