/**
 * sin and cos for every finite float32.
 *
 * x = quadrant pi/2 + r with |r| <= pi/4, reduced in float64 lanes, or in integers where float64 is too short; then one
 * of two polynomials in r^2. Coefficients are minimax (Remez exchange, rounded to float32 one by one), own computation.
 */
import {
  type Code,
  f32,
  f32x4,
  f64,
  f64x2,
  type FunctionBuilder,
  type FunctionHome,
  type FunctionReference,
  i32,
  i32x4,
  i64,
  lane,
  type Local,
  op,
  type Operand,
  shuffle32,
} from "../assembler/index.ts";
import { absolute, add, and, bind, choose, multiply, polynomial, subtract, xor } from "./lanes.ts";

/** (sin(r) / r - 1) / r^2 in powers of r^2: relative error of sin 2^-28. */
const sinCoefficients = [-0.16666655242443085, 0.008332191035151482, -0.00019518598855938762];
/** (cos(r) - 1 + r^2 / 2) / r^4 in powers of r^2: absolute error of cos 2^-33. */
const cosCoefficients = [0.04166664555668831, -0.00138873013202101, 2.4430666599073447e-5];

/** pi / 2 in two parts (Cody and Waite): n times the first, of 33 bits, is exact below 2^20. */
const halfPiHigh = 1.5707963267341256;
const halfPiLow = 6.077100506506192e-11;
/** Below this float64 reduction leaves an error of 2^-66, against |r| > 2^-33 wherever x is not 0. */
const float64Limit = 2 ** 20;

/** r as float32, and what it lost to rounding. */
type Reduced = { readonly quadrant: Local; readonly r: Local; readonly lost: Local };

/** sin x. NaN at infinities. */
export function sin(f: FunctionBuilder, x: Local): Code {
  const reduced = reduceByHalfPi(f, x);
  // sin(x) rounds to x here; this keeps -0 as well.
  return choose(op("f32x4.lt", absolute(x), f32x4(2 ** -13)), x, sineOf(f, reduced));
}

/** cos x = sin(x + pi/2). NaN at infinities. */
export function cos(f: FunctionBuilder, x: Local): Code {
  const { quadrant, r, lost } = reduceByHalfPi(f, x);
  return sineOf(f, { quadrant: bind(f, "quadrant", op("i32x4.add", quadrant, i32x4(1))), r, lost });
}

/** sin(quadrant pi/2 + r + lost). */
function sineOf(f: FunctionBuilder, { quadrant, r, lost }: Reduced): Code {
  const square = bind(f, "square", multiply(r, r));
  const cubic = multiply(multiply(r, square), polynomial(square, sinCoefficients));
  const sine = add(r, add(cubic, lost));
  const quartic = multiply(multiply(square, square), polynomial(square, cosCoefficients));
  const bend = subtract(multiply(square, f32x4(0.5)), subtract(quartic, multiply(r, lost)));
  const cosine = subtract(f32x4(1), bend);
  const odd = op("i32x4.eq", and(quadrant, i32x4(1)), i32x4(1));
  const sign = op("i32x4.shl", and(quadrant, i32x4(2)), i32(30));
  return xor(choose(odd, cosine, sine), sign);
}

function reduceByHalfPi(f: FunctionBuilder, x: Local): Reduced {
  const lowTurns = turnsOf(f, x);
  const highTurns = turnsOf(f, shuffle32([2, 3, 2, 3], x, x));
  const quadrant = bind(f, "quadrant", joinLow("i32x4.trunc_sat_f64x2_s_zero", lowTurns.turns, highTurns.turns));
  const low = lowTurns.rest;
  const high = highTurns.rest;
  // NaN and infinity have rest = NaN already.
  const magnitude = bind(f, "magnitude", absolute(x));
  f.op(
    "v128.any_true",
    and(op("f32x4.ge", magnitude, f32x4(float64Limit)), op("f32x4.lt", magnitude, f32x4(Infinity))),
  );
  f.if(() => {
    f.call(reduceLargeLanes(f.module), x, quadrant, low, high);
    f.set(high);
    f.set(low);
    f.set(quadrant);
  });
  const r = bind(f, "r", joinLow("f32x4.demote_f64x2_zero", low, high));
  const lowLost = op("f64x2.sub", low, op("f64x2.promote_low_f32x4", r));
  const highLost = op("f64x2.sub", high, op("f64x2.promote_low_f32x4", shuffle32([2, 3, 2, 3], r, r)));
  return { quadrant, r, lost: bind(f, "lost", joinLow("f32x4.demote_f64x2_zero", lowLost, highLost)) };
}

/** `operation` of two pairs of float64, put together. */
function joinLow(
  operation: "f32x4.demote_f64x2_zero" | "i32x4.trunc_sat_f64x2_s_zero",
  low: Operand,
  high: Operand,
): Code {
  return shuffle32([0, 1, 4, 5], op(operation, low), op(operation, high));
}

/** Quarter turns nearest to the low two lanes of x, and the rest, in float64. */
function turnsOf(f: FunctionBuilder, x: Operand): { readonly turns: Local; readonly rest: Local } {
  const wide = bind(f, "wide", op("f64x2.promote_low_f32x4", x));
  const turns = bind(f, "turns", op("f64x2.nearest", op("f64x2.mul", wide, f64x2(2 / Math.PI))));
  const high = op("f64x2.sub", wide, op("f64x2.mul", turns, f64x2(halfPiHigh)));
  return { turns, rest: bind(f, "rest", op("f64x2.sub", high, op("f64x2.mul", turns, f64x2(halfPiLow)))) };
}

/** (x, quadrant, low rests, high rests) to the last three, renewed where x is large and finite. */
function reduceLargeLanes(module: FunctionHome): FunctionReference {
  const scalar = reduceLargeAngle(module);
  return module.define(
    "reduceLargeAngles",
    ["v128", "v128", "v128", "v128"],
    ["v128", "v128", "v128"],
    (f, x, quadrant, low, high) => {
      const value = f.local("f32", "value");
      const magnitude = f.local("f32", "magnitude");
      const newQuadrant = f.local("i32", "newQuadrant");
      const newRest = f.local("f64", "newRest");
      for (const index of [0, 1, 2, 3]) {
        f.set(value, lane("f32x4.extract_lane", index, x));
        f.set(magnitude, op("f32.abs", value));
        f.op("i32.and", op("f32.ge", magnitude, f32(float64Limit)), op("f32.lt", magnitude, f32(Infinity)));
        f.if(() => {
          f.call(scalar, value);
          f.set(newRest);
          f.set(newQuadrant);
          f.set(quadrant, lane("i32x4.replace_lane", index, quadrant, newQuadrant));
          const half = index < 2 ? low : high;
          f.set(half, lane("f64x2.replace_lane", index % 2, half, newRest));
        });
      }
      f.emit(quadrant, low, high);
    },
  );
}

/** The bits of 2 / pi after the point, 64 to a word. */
const twoOverPi = [0xa2f9836e4e441529n, 0xfc2757d1f534ddc0n, 0xdb6295993c439041n, 0xfe5163abdebbc561n] as const;

/**
 * Quadrant (mod 4) and r of one finite |x| >= 2^20 (after Payne and Hanek 1983). With |x| = m 2^e, m whole, the bits of
 * 2 / pi that matter modulo 4 start at place e - 1; 96 of them times m leave 2 bits of quadrant and 62 of fraction.
 * The nearest a float32 comes to a multiple of pi / 2 is about 2^-30 of a quadrant, so r keeps 2^-30 relative error.
 */
function reduceLargeAngle(module: FunctionHome): FunctionReference {
  return module.define("reduceLargeAngle", ["f32"], ["i32", "f64"], (f, x) => {
    const bits = f.let("i32", "bits", op("i32.reinterpret_f32", x));
    const mantissa = f.let(
      "i64",
      "mantissa",
      op("i64.extend_i32_u", op("i32.or", op("i32.and", bits, i32(0x007f_ffff)), i32(0x0080_0000))),
    );
    const exponent = op("i32.sub", op("i32.and", op("i32.shr_u", bits, i32(23)), i32(255)), i32(150));
    // x >= 2^20 makes e at least -3: with five zeros ahead, place e - 1 (the first is 1) has index e + 3 >= 0.
    const place = f.let("i32", "place", op("i32.add", exponent, i32(3)));
    const padded = shiftRightBy5(twoOverPi);
    const isFar = f.let("i32", "isFar", op("i32.ge_u", place, i32(64)));
    const word = (index: 0 | 1 | 2): Local =>
      f.let("i64", "word", op("select", i64(padded[index + 1] ?? 0n), i64(padded[index] ?? 0n), isFar));
    const words = [word(0), word(1), word(2)] as const;
    const shift = f.let("i64", "shift", op("i64.extend_i32_u", op("i32.and", place, i32(63))));
    // A shift by 64 is none in WebAssembly, hence 1 and 63 - shift.
    const window = (high: Local, low: Local): Code =>
      op(
        "i64.or",
        op("i64.shl", high, shift),
        op("i64.shr_u", op("i64.shr_u", low, i64(1)), op("i64.sub", i64(63), shift)),
      );
    const low = op("i64.shr_u", op("i64.mul", op("i64.shr_u", window(words[1], words[2]), i64(32)), mantissa), i64(32));
    const turns = f.let("i64", "turns", op("i64.add", op("i64.mul", window(words[0], words[1]), mantissa), low));
    const nearest = f.let("i64", "nearest", op("i64.shr_u", op("i64.add", turns, i64(2n ** 61n)), i64(62)));
    const fraction = op("i64.sub", turns, op("i64.shl", nearest, i64(62)));
    const r = f.let("f64", "r", op("f64.mul", op("f64.convert_i64_s", fraction), f64((Math.PI / 2) * 2 ** -62)));
    const quadrant = f.let("i32", "quadrant", op("i32.wrap_i64", nearest));
    // -x has the opposite quadrant and the opposite r.
    const isNegative = f.let("i32", "isNegative", op("i32.lt_s", bits, i32(0)));
    f.op("select", op("i32.sub", i32(0), quadrant), quadrant, isNegative);
    f.op("select", op("f64.neg", r), r, isNegative);
  });
}

function shiftRightBy5(words: readonly bigint[]): bigint[] {
  return words.map((word, index) => BigInt.asUintN(64, (word >> 5n) | ((words[index - 1] ?? 0n) << 59n)));
}
