/** Between limbs and numbers. */
import type { Limbs } from "./limbs.ts";
import { literalLimbs, negateLimbs, selectLimbs, signedHigh } from "./limbs.ts";
import type { KernelWriter } from "./writer.ts";

/** The value as a number. The product is exact, so the sum's is the only rounding. */
export function limbsToNumber(writer: KernelWriter, x: Limbs, signed: boolean): string {
  const high = signed ? signedHigh(writer, x) : x.high;
  return writer.local(`(${high} * 65536 + ${x.low})`);
}

/** 0 or 1. */
export function limbsToBool(writer: KernelWriter, x: Limbs): string {
  return writer.local(`((${x.high} + ${x.low}) > 0 ? 1 : 0)`);
}

/** Truncates towards zero, saturates, NaN gives 0. */
export function numberToLimbs(writer: KernelWriter, number: string, signed: boolean): Limbs {
  const x = writer.atom(number);
  const above = signed ? 2 ** 31 : 2 ** 32;
  const below = signed ? -(2 ** 31) : 0;
  // NaN fails both comparisons.
  const inside = writer.local(`((${x} > ${below < 0 ? `(${below})` : "0"} && ${x} < ${above}) ? ${x} : 0)`);
  const magnitude = writer.local(`Math.floor(Math.abs(${inside}))`);
  const high = writer.local(`Math.floor(${magnitude} * ${1 / 65536})`);
  const positive: Limbs = { high, low: writer.local(`(${magnitude} - ${high} * 65536)`) };
  const truncated = signed ? selectLimbs(writer, `${inside} < 0`, negateLimbs(writer, positive), positive) : positive;
  const saturatedAbove = selectLimbs(writer, `${x} >= ${above}`, literalLimbs(above - 1), truncated);
  if (!signed) return saturatedAbove;
  return selectLimbs(writer, `${x} <= (${below})`, literalLimbs(below), saturatedAbove);
}

/** Limbs of an i32 expression that isn't negative, however large. For the modes with exact bitwise operators on i32. */
export function coordinateToLimbs(writer: KernelWriter, text: string): Limbs {
  return { high: writer.local(`(${text} >> 16)`), low: writer.local(`(${text} & 65535)`) };
}

/** Limbs of a whole number held exactly in an f32 (|x| <= 2^24), such as a loop coordinate. */
export function wholeToLimbs(writer: KernelWriter, number: string): Limbs {
  const x = writer.atom(number);
  const high = writer.local(`Math.floor(${x} * ${1 / 65536})`);
  const low = writer.local(`(${x} - ${high} * 65536)`);
  return { high: writer.local(`(${high} < 0 ? ${high} + 65536 : ${high})`), low };
}
