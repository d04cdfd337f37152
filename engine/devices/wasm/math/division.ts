/** Division with a remainder: by way of float64 lanes, two by two, where quotients of 32-bit numbers are exact. */
import {
  type Code,
  f32x4,
  f64x2,
  type FunctionBuilder,
  i32x4,
  type Local,
  op,
  type Operand,
  shuffle32,
} from "../assembler/index.ts";
import { absolute, add, and, bind, choose, multiply, or, signBit } from "./lanes.ts";

const upper = (x: Operand): Code => shuffle32([2, 3, 2, 3], x, x);
const joined = (low: Operand, high: Operand): Code => shuffle32([0, 1, 4, 5], low, high);

/** The quotient of integers towards zero; 0 where y is 0, and -2^31 / -1 is -2^31. */
export function truncateDivide(f: FunctionBuilder, x: Local, y: Local, isSigned: boolean): Code {
  const quotient = joined(lowQuotients(x, y, isSigned), lowQuotients(upper(x), upper(y), isSigned));
  const unlessZero = op("v128.andnot", quotient, op("i32x4.eq", y, i32x4(0)));
  if (!isSigned) return unlessZero;
  // 2^31 would saturate.
  return choose(op("i32x4.eq", y, i32x4(-1)), op("i32x4.neg", x), bind(f, "quotient", unlessZero));
}

/**
 * Of the low two lanes. A quotient of 32-bit numbers that isn't whole is at least 2^-32 away from whole numbers, relative to which
 * float64 rounds off less than 2^-20 of that: truncating it is exact.
 */
function lowQuotients(x: Operand, y: Operand, isSigned: boolean): Code {
  const wide = isSigned ? "f64x2.convert_low_i32x4_s" : "f64x2.convert_low_i32x4_u";
  const narrow = isSigned ? "i32x4.trunc_sat_f64x2_s_zero" : "i32x4.trunc_sat_f64x2_u_zero";
  return op(narrow, op("f64x2.div", op(wide, x), op(wide, y)));
}

/** Bits of a quotient that one step finds: its product with a float32 has at most 52 and is exact in float64. */
const bitsAtOnce = 28;
/** Quotients of float32 numbers are below 2^277. */
const longestQuotient = 277;

/** C's fmod, exact. */
export function fmod(f: FunctionBuilder, x: Local, y: Local): Code {
  const low = lowRests(f, x, y);
  const high = lowRests(f, upper(x), upper(y));
  const rest = joined(op("f32x4.demote_f64x2_zero", low), op("f32x4.demote_f64x2_zero", high));
  const signed = bind(f, "signed", or(rest, and(x, signBit)));
  // x itself, unless that is infinite as well.
  const beforeInfinity = add(x, multiply(x, f32x4(0)));
  return choose(op("f32x4.eq", absolute(y), f32x4(Infinity)), beforeInfinity, signed);
}

/** |x| - n |y| of the low two lanes, in float64; NaN where x is infinite or y is 0. */
function lowRests(f: FunctionBuilder, x: Operand, y: Operand): Local {
  const rest = bind(f, "rest", op("f64x2.promote_low_f32x4", absolute(x)));
  const divisor = bind(f, "divisor", op("f64x2.promote_low_f32x4", absolute(y)));
  /** Takes off as many whole multiples of divisor * scale as fit, fewer than 2^28. */
  const reduce = (scale: number): void => {
    const step = bind(f, "step", op("f64x2.mul", divisor, f64x2(scale)));
    const count = op("f64x2.floor", op("f64x2.div", rest, step));
    f.set(rest, op("f64x2.sub", rest, op("f64x2.mul", count, step)));
  };
  f.op("v128.any_true", op("f64x2.ge", rest, op("f64x2.mul", divisor, f64x2(2 ** bitsAtOnce))));
  f.if(() => {
    for (let steps = Math.floor(longestQuotient / bitsAtOnce); steps > 0; steps--) reduce(2 ** (bitsAtOnce * steps));
  });
  reduce(1);
  return rest;
}
