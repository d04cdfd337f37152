/**
 * x^y = 2^(y log2 |x|) in float64 lanes, two by two, which makes the float32 result right to just over half an ulp.
 * Coefficients are minimax (Remez exchange), own computation.
 */
import {
  type Code,
  f32x4,
  f64x2,
  type FunctionBuilder,
  i32,
  i64x2,
  type Local,
  op,
  type Operand,
  shuffle32,
} from "../assembler/index.ts";
import { absolute, and, bind, choose, multiply, or, signBit, xor } from "./lanes.ts";

/** log2(m) / s in powers of s^2, s = (m - 1) / (m + 1), for m from sqrt(1/2) to sqrt(2): relative error 2^-45. */
const log2Coefficients = [
  2.8853900817778495, 0.9617966941142595, 0.577077942074736, 0.4122092838779623, 0.3199043221052746,
  0.28292090595468833,
];
/** 2^t for |t| <= 1/2: relative error 2^-34. */
const exp2Coefficients = [
  0.9999999999616728, 0.6931471807283327, 0.24022651198210748, 0.05550410353725088, 0.009618027248313324,
  0.001333392237644323, 0.0001546929253002236, 1.5201959670533111e-5,
];

/** Bits of the float64 sqrt(1/2). */
const sqrtHalfBits = 0x3fe6_a09e_667f_3bcdn;
/** Adding 1.5 * 2^52 to a small whole float64 makes its low bits the integer, and back. */
const wholeShift = 2 ** 52 + 2 ** 51;
const wholeShiftBits = 0x4338_0000_0000_0000n;

/** x^y as C's pow: x^0 = 1^y = 1 whatever the other is, NaN for x < 0 unless y is whole. */
export function power(f: FunctionBuilder, x: Local, y: Local): Code {
  const magnitude = bind(f, "magnitude", absolute(x));
  const low = positivePower(f, magnitude, y);
  const high = positivePower(f, shuffle32([2, 3, 2, 3], magnitude, magnitude), shuffle32([2, 3, 2, 3], y, y));
  const result = bind(f, "result", shuffle32([0, 1, 4, 5], low, high));
  const ordinary = and(
    and(op("f32x4.gt", x, f32x4(0)), op("f32x4.lt", x, f32x4(Infinity))),
    op("f32x4.lt", absolute(y), f32x4(Infinity)),
  );
  f.op("i32.eqz", op("i32x4.all_true", ordinary));
  f.if(() => fixSpecial(f, result, x, y, magnitude));
  return [{ kind: "local", op: "local.get", local: result }];
}

/** x^y of the low two lanes, for 0 < x < infinity, in the low two lanes. */
function positivePower(f: FunctionBuilder, x: Operand, y: Operand): Local {
  const base = bind(f, "base", op("f64x2.promote_low_f32x4", x));
  const above = bind(f, "above", op("i64x2.sub", base, i64x2(sqrtHalfBits)));
  const m = bind(f, "m", op("i64x2.add", and(above, i64x2(2n ** 52n - 1n)), i64x2(sqrtHalfBits)));
  const exponentBits = op("i64x2.add", op("i64x2.shr_s", above, i32(52)), i64x2(wholeShiftBits));
  const exponent = op("f64x2.sub", exponentBits, f64x2(wholeShift));
  const s = bind(f, "s", op("f64x2.div", op("f64x2.sub", m, f64x2(1)), op("f64x2.add", m, f64x2(1))));
  const square = bind(f, "square", op("f64x2.mul", s, s));
  const log2 = op("f64x2.add", exponent, op("f64x2.mul", s, polynomial64(square, log2Coefficients)));
  const product = op("f64x2.mul", op("f64x2.promote_low_f32x4", y), log2);
  // Far outside of float32 yet inside of float64; pmin and pmax let NaN through.
  const limited = op("f64x2.pmax", op("f64x2.pmin", product, f64x2(300)), f64x2(-300));
  const w = bind(f, "w", limited);
  const n = bind(f, "n", op("f64x2.nearest", w));
  const mantissa = polynomial64(bind(f, "t", op("f64x2.sub", w, n)), exp2Coefficients);
  const scale = op("i64x2.shl", op("f64x2.add", n, f64x2(wholeShift + 1023)), i32(52));
  return bind(f, "power", op("f32x4.demote_f64x2_zero", op("f64x2.mul", mantissa, scale)));
}

function polynomial64(x: Operand, coefficients: readonly number[]): Code {
  return coefficients.reduceRight<Code>(
    (sum, coefficient) =>
      sum.length === 0 ? f64x2(coefficient) : op("f64x2.add", op("f64x2.mul", sum, x), f64x2(coefficient)),
    [],
  );
}

/** The rules of C's pow for zeros, infinities, NaN and negative x, in the order in which later ones win. */
function fixSpecial(f: FunctionBuilder, result: Local, x: Local, y: Local, magnitude: Local): void {
  const isNegativePower = op("f32x4.lt", y, f32x4(0));
  const isZero = bind(f, "isZero", op("f32x4.eq", magnitude, f32x4(0)));
  const isInfinite = bind(f, "isInfinite", op("f32x4.eq", magnitude, f32x4(Infinity)));
  // 0^y is infinite for y < 0, infinity^y for y > 0; otherwise they are 0.
  const limit = and(xor(isInfinite, isNegativePower), f32x4(Infinity));
  f.set(result, choose(or(isZero, isInfinite), limit, result));
  // (+-1)^(+-infinity) = 1.
  const isUnit = op("f32x4.eq", magnitude, f32x4(1));
  f.set(result, choose(and(isUnit, op("f32x4.eq", absolute(y), f32x4(Infinity))), f32x4(1), result));
  // Odd whole y: the sign of x. Whole: floor(y) = y; odd: y / 2 isn't whole.
  const isWhole = bind(f, "isWhole", op("f32x4.eq", op("f32x4.floor", y), y));
  const half = bind(f, "half", multiply(y, f32x4(0.5)));
  const isOdd = and(isWhole, op("f32x4.ne", op("f32x4.floor", half), half));
  f.set(result, xor(result, and(and(x, signBit), isOdd)));
  // All ones is a NaN.
  const isFiniteNegative = and(op("f32x4.lt", x, f32x4(0)), op("f32x4.gt", x, f32x4(-Infinity)));
  f.set(result, or(result, op("v128.andnot", isFiniteNegative, isWhole)));
  f.set(result, or(result, or(op("f32x4.ne", x, x), op("f32x4.ne", y, y))));
  const isOne = or(op("f32x4.eq", x, f32x4(1)), op("f32x4.eq", y, f32x4(0)));
  f.set(result, choose(isOne, f32x4(1), result));
}
