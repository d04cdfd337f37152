/**
 * exp and what is made of it: expm1, sigmoid, tanh.
 *
 * All write x = n ln 2 + r with |r| <= ln(2) / 2 and e^x = 2^n (1 + q), q = e^r - 1 = r + r^2 P(r).
 * The coefficients are minimax (Remez exchange, each rounded to float32 before the next is fitted), own computation.
 */
import { type Code, f32x4, type FunctionBuilder, i32, i32x4, type Local, op } from "../assembler/index.ts";
import {
  absolute,
  add,
  and,
  atLeast,
  atMost,
  bind,
  choose,
  divide,
  multiply,
  or,
  powerOfTwo,
  signBit,
  subtract,
} from "./lanes.ts";

/** (e^r - 1 - r) / r^2: relative error of e^r below 2^-28. */
const expCoefficients = [
  0.4999999403953552, 0.16666515171527863, 0.041668083518743515, 0.00836934894323349, 0.0013840390602126718,
] as const;

/** ln 2 in two parts; n times the first is exact for |n| < 2^9, as it has 15 bits. */
const ln2High = 0.693145751953125;
const ln2Low = Math.LN2 - ln2High;

/** Adding it to a number below 2^22 leaves round(number) in the low bits: 1.5 * 2^23. */
const roundingShift = 12582912;
const roundingShiftBits = 0x4b40_0000;

/** n as an integer vector and as float32, and r. For |x| < 2^21. */
function reduceByLn2(f: FunctionBuilder, x: Local): { readonly n: Local; readonly whole: Local; readonly r: Local } {
  const shifted = bind(f, "shifted", add(multiply(x, f32x4(Math.LOG2E)), f32x4(roundingShift)));
  const whole = bind(f, "whole", subtract(shifted, f32x4(roundingShift)));
  const high = subtract(x, multiply(whole, f32x4(ln2High)));
  const r = bind(f, "r", subtract(high, multiply(whole, f32x4(ln2Low))));
  const n = bind(f, "n", op("i32x4.sub", shifted, i32x4(roundingShiftBits)));
  return { n, whole, r };
}

/** r^2 P(r), by Estrin's scheme: its parts don't wait for each other. */
function beyondLinear(f: FunctionBuilder, r: Local): Code {
  const [c0, c1, c2, c3, c4] = expCoefficients;
  const square = bind(f, "square", multiply(r, r));
  const low = add(f32x4(c0), multiply(f32x4(c1), r));
  const high = add(add(f32x4(c2), multiply(f32x4(c3), r)), multiply(f32x4(c4), square));
  return multiply(square, add(low, multiply(square, high)));
}

/** e^x. 0 below -103.98, infinite above 88.73. */
export function exp(f: FunctionBuilder, x: Local): Code {
  // Beyond the limits the result is 0 or infinite, and n stays within what two factors can express.
  const limited = bind(f, "limited", atLeast(atMost(x, 89), -104));
  const { n, r } = reduceByLn2(f, limited);
  const mantissa = add(f32x4(1), add(r, beyondLinear(f, r)));
  // 2^n in two factors of normal range: the first product is exact, the second rounds a subnormal result once.
  const half = bind(f, "half", op("i32x4.shr_s", n, i32(1)));
  return multiply(multiply(mantissa, powerOfTwo(half)), powerOfTwo(op("i32x4.sub", n, half)));
}

/** e^x - 1, exact in sign and relative size near 0. */
export function expm1(f: FunctionBuilder, x: Local): Code {
  // Below -20 the result is -1; above 89 it is infinite.
  const limited = bind(f, "limited", atLeast(atMost(x, 89), -20));
  const { n, whole, r } = reduceByLn2(f, limited);
  // The part of r that rounding lost matters here, because 2^n (1 + r) - 1 cancels.
  const high = subtract(limited, multiply(whole, f32x4(ln2High)));
  const lost = subtract(subtract(high, r), multiply(whole, f32x4(ln2Low)));
  const rest = bind(f, "rest", add(beyondLinear(f, r), lost));
  // All at half size, as 2^128 is no float32: result / 2 = (scale - 1/2) + scale r + scale rest.
  const scale = bind(f, "scale", powerOfTwo(op("i32x4.sub", n, i32x4(1))));
  const base = bind(f, "base", subtract(scale, f32x4(0.5)));
  const linear = bind(f, "linear", multiply(scale, r));
  const sum = bind(f, "sum", add(base, linear));
  // |base| >= |linear| or base = 0, so this is the rounding error of the sum (Dekker).
  const error = subtract(linear, subtract(sum, base));
  const half = bind(f, "half", add(sum, add(error, multiply(scale, rest))));
  // x + x^2 / 2 rounds to x here, and half of a subnormal would not be exact.
  return choose(op("f32x4.lt", absolute(x), f32x4(2 ** -25)), x, add(half, half));
}

/** 1 / (1 + e^-x). */
export function sigmoid(f: FunctionBuilder, x: Local): Code {
  const magnitude = bind(f, "magnitude", atMost(absolute(x), 104));
  const { n, r } = reduceByLn2(f, magnitude);
  const q = add(r, beyondLinear(f, r));
  // small = 1 / (1 + e^|x|). From n = 64 on the 1 is lost anyway and the rest of 2^n may be multiplied afterwards.
  const low = bind(f, "low", op("i32x4.min_s", n, i32x4(64)));
  const scale = bind(f, "scale", powerOfTwo(low));
  const part = bind(f, "part", add(multiply(scale, q), f32x4(1)));
  const denominator = bind(f, "denominator", add(scale, part));
  // The rounding error of that sum (Dekker), taken out of the quotient to first order: d 1/y = -dy / y^2.
  const error = subtract(part, subtract(denominator, scale));
  const quotient = bind(f, "quotient", divide(f32x4(1), denominator));
  const refined = subtract(quotient, multiply(multiply(quotient, error), quotient));
  const small = bind(f, "small", multiply(refined, powerOfTwo(op("i32x4.sub", low, n))));
  return choose(op("f32x4.lt", x, f32x4(0)), small, subtract(f32x4(1), small));
}

/** tanh |x| = E / (E + 2) with E = e^2|x| - 1, which keeps its relative size near 0. */
export function tanh(f: FunctionBuilder, x: Local): Code {
  const magnitude = bind(f, "magnitude", absolute(x));
  // From 10 on the result is 1.
  const limited = bind(f, "limited", atMost(add(magnitude, magnitude), 20));
  const { n, r } = reduceByLn2(f, limited);
  const scale = bind(f, "scale", powerOfTwo(n));
  const rest = multiply(scale, add(r, beyondLinear(f, r)));
  const growth = bind(f, "growth", add(subtract(scale, f32x4(1)), rest));
  return or(divide(growth, add(growth, f32x4(2))), and(x, signBit));
}
