/**
 * What a float32 device may answer: beside each float64 value of the oracle a bound on the absolute error, carried through
 * every operation. An element is *uncertain* (bound Infinity) where a rounding error upstream may change a decision: a
 * comparison too close to call, an overflow that may or may not happen. Uncertain elements are not compared.
 *
 * The bounds hold for any order of summation and with or without fused multiply-add.
 */
import type { BinaryOp, CompareOp, UnaryOp } from "../../engine/graph/node.ts";
import { binaryScalar, unaryScalar } from "../../engine/devices/oracle/scalars.ts";

/** Accuracy of a device. */
export type Accuracy = {
  /** Error of exp, sin, ... relative to the result, in units of 2^-23. */
  readonly elementary: number;
  /** Absolute error of exp, sin, ... on top. */
  readonly elementaryAbsolute: number;
  /** Error of a division relative to the result, in units of 2^-24: 1 if correctly rounded, 5 for WGSL. */
  readonly division: number;
  /** Whether NaN, infinities and the sign of zero follow IEEE 754. */
  readonly specialValues: boolean;
  /** Whether subnormal numbers may be replaced by zero. */
  readonly flushesSubnormals: boolean;
};

/** Half a unit in the last place of 1: the relative error of a correctly rounded float32 operation. */
export const roundoff = 2 ** -24;
export const largest = 3.4028234663852886e38;
const smallestNormal = 2 ** -126;

/** Error of a result that is rounded once; `share` in units of `roundoff`. */
function rounding(magnitude: number, share: number): number {
  return share * roundoff * magnitude + 2 ** -149;
}

/** A float32 value with the error its evaluation adds, or uncertain if it may overflow or is a special value of inexact operands. */
function settle(value: number, error: number, operandsExact: boolean, accuracy: Accuracy): number {
  if (!Number.isFinite(value)) return operandsExact && accuracy.specialValues ? 0 : Infinity;
  if (Number.isNaN(error)) return Infinity;
  const flushed = accuracy.flushesSubnormals ? smallestNormal : 0;
  const total = error + (Math.abs(value) - error < smallestNormal ? flushed : 0);
  return Math.abs(value) + total > largest ? Infinity : total;
}

/** Error of an f32 operand as a device holds it: exact, unless it is flushed. */
export function inputError(value: number, accuracy: Accuracy): number {
  if (!Number.isFinite(value)) return accuracy.specialValues ? 0 : Infinity;
  return value !== 0 && Math.abs(value) < smallestNormal && accuracy.flushesSubnormals ? Math.abs(value) : 0;
}

/** Error of an f32 literal: it is rounded, and held as an operand is. */
export function literalError(value: number, accuracy: Accuracy): number {
  return conversionError(value) + inputError(value, accuracy);
}

/** Largest change of a function over [x - e, x + e], if it is monotone there. */
function monotone(f: (x: number) => number, x: number, e: number): number {
  if (e === 0) return 0;
  const y = f(x);
  return Math.max(Math.abs(f(x + e) - y), Math.abs(f(x - e) - y));
}

export function unaryError(op: UnaryOp, x: number, e: number, accuracy: Accuracy): number {
  const value = unaryScalar(op, x, "f32");
  const elementary = (spread: number): number => {
    const magnitude = Math.abs(value) + spread;
    const own = accuracy.elementary * 2 * roundoff * magnitude + accuracy.elementaryAbsolute + 2 ** -148;
    return settle(value, spread + own, e === 0, accuracy);
  };
  const f = (y: number): number => unaryScalar(op, y, "f32");
  if (e === Infinity) return Infinity;
  switch (op) {
    case "negate":
    case "absolute":
      return e;
    case "sign":
    case "floor":
      // Constant between jumps.
      return e === 0 || (f(x - e) === f(x + e) && Math.abs(x) > e)
        ? Number.isFinite(value)
          ? 0
          : settle(value, 0, e === 0, accuracy)
        : Infinity;
    case "log":
      return e > 0 && x - e <= 0 ? Infinity : elementary(monotone(f, x, e));
    case "log1p":
      return e > 0 && x - e <= -1 ? Infinity : elementary(monotone(f, x, e));
    case "sqrt":
      // The root of what may be slightly negative may be NaN.
      if (e > 0 && x - e <= 0) return Infinity;
      if (e === 0 && accuracy.division === 1 && Math.fround(value) === value && value * value === x) return 0;
      return settle(value, monotone(f, x, e) + rounding(Math.abs(value), accuracy.division + 1), e === 0, accuracy);
    case "roundToFloat16":
      // Monotone, and exact where its operand is.
      return settle(value, monotone(f, x, e), e === 0, accuracy);
    case "exp":
    case "expm1":
    case "atan":
    case "tanh":
    case "sigmoid":
    case "erf":
      return elementary(monotone(f, x, e));
    case "sin":
    case "cos":
      return elementary(Math.min(2, e));
    case "isFinite":
    case "isNaN":
      return Number.isFinite(x) ? (Math.abs(x) + e > largest ? Infinity : 0) : e;
    case "not":
      return e;
  }
}

/** Whether a float64 sum is exact (Knuth's TwoSum finds no error) and an f32, so that every device gives it. */
function isExactSum(x: number, y: number, sum: number): boolean {
  const second = sum - x;
  return second === y && sum - second === x && Math.fround(sum) === sum;
}

export function binaryError(
  op: BinaryOp,
  [x, ex]: readonly [number, number],
  [y, ey]: readonly [number, number],
  accuracy: Accuracy,
): number {
  if (ex === Infinity || ey === Infinity) return Infinity;
  const value = binaryScalar(op, x, y, "f32");
  const exact = ex === 0 && ey === 0;
  switch (op) {
    case "add":
    case "subtract":
      if (exact && isExactSum(x, op === "add" ? y : -y, value)) return settle(value, 0, true, accuracy);
      return settle(value, ex + ey + rounding(Math.abs(value) + ex + ey, 1), exact, accuracy);
    case "multiply": {
      // The product of two f32 is exact in float64.
      if (exact && Math.fround(value) === value) return settle(value, 0, true, accuracy);
      const spread = Math.abs(x) * ey + Math.abs(y) * ex + ex * ey;
      return settle(value, spread + rounding(Math.abs(value) + spread, 1), exact, accuracy);
    }
    case "divide": {
      if (y === 0 && ey === 0) return exact && accuracy.specialValues ? 0 : Infinity;
      if (Math.abs(y) <= ey || (accuracy.flushesSubnormals && Math.abs(y) < smallestNormal * 4)) return Infinity;
      // Drivers may multiply by the reciprocal, which leaves the range for large divisors.
      if (!accuracy.specialValues && Math.abs(y) > 1e37) return Infinity;
      if (exact && accuracy.division === 1 && Math.fround(value) === value && value * y === x)
        return settle(value, 0, true, accuracy);
      const spread = (ex + Math.abs(value) * ey) / (Math.abs(y) - ey);
      return settle(value, spread + rounding(Math.abs(value) + spread, accuracy.division), exact, accuracy);
    }
    case "truncateDivide":
      return 0;
    case "fmod":
      return settle(value, exact ? 0 : restSpread([x, ex], [y, ey]), exact, accuracy);
    case "power":
      return powerError([x, ex], [y, ey], value, accuracy);
    case "maximum":
    case "minimum":
      if (Number.isNaN(value)) return settle(value, 0, exact, accuracy);
      // Which of +0 and -0 wins is open; the slack makes a division by it uncertain.
      if (!Number.isFinite(value)) return settle(value, 0, exact, accuracy);
      return Math.max(Number.isFinite(x) ? ex : 0, Number.isFinite(y) ? ey : 0, x === 0 && y === 0 ? 2 ** -149 : 0);
    case "and":
    case "or":
    case "xor":
      return 0;
  }
}

/** Largest change of what is left of x when whole multiples of y are taken off: Infinity unless the multiple is certain. */
function restSpread([x, ex]: readonly [number, number], [y, ey]: readonly [number, number]): number {
  if (Math.abs(y) <= ey) return Infinity;
  const count = Math.trunc(x / y);
  const isCertain = [x - ex, x + ex].every((a) => [y - ey, y + ey].every((b) => Math.trunc(a / b) === count));
  // At a whole quotient itself rounding decides.
  return isCertain && (count === 0 || count * y !== x) ? ex + Math.abs(count) * ey : Infinity;
}

function powerError(
  [x, ex]: readonly [number, number],
  [y, ey]: readonly [number, number],
  value: number,
  accuracy: Accuracy,
): number {
  const exact = ex === 0 && ey === 0;
  // What an infinity gives jumps: at an exponent of 0, at bases of 1 and -1.
  if (!Number.isFinite(value) || !Number.isFinite(x) || !Number.isFinite(y)) {
    return settle(value, exact ? 0 : Infinity, exact, accuracy);
  }
  if (!exact && x - ex <= 0) return Infinity;
  const corners = [x - ex, x + ex].flatMap((base) => [y - ey, y + ey].map((exponent) => base ** exponent));
  const spread = exact ? 0 : Math.max(...corners.map((corner) => Math.abs(corner - value)));
  // Through exp(y log x) a relative error of y log x is an absolute one of the exponent.
  const condition = accuracy.specialValues ? 1 : 1 + Math.abs(y * Math.log(Math.abs(x) || 1));
  const own = accuracy.elementary * 2 * roundoff * condition * (Math.abs(value) + spread) + 2 ** -148;
  return settle(value, spread + own, exact, accuracy);
}

/** 0 if the comparison is certain. */
export function compareError(
  op: CompareOp,
  [x, ex]: readonly [number, number],
  [y, ey]: readonly [number, number],
  accuracy: Accuracy,
): number {
  if (ex === Infinity || ey === Infinity) return Infinity;
  if (Number.isNaN(x) || Number.isNaN(y)) return accuracy.specialValues ? 0 : Infinity;
  if (ex === 0 && ey === 0) return 0;
  if (!Number.isFinite(x) || !Number.isFinite(y)) return x === y ? Infinity : 0;
  return Math.abs(x - y) > ex + ey || (op === "lessEqual" && x === y && ex + ey === 0) ? 0 : Infinity;
}

/** Error of a sum of `terms` products or elements whose absolute values add up to `magnitude` and whose errors add up to `spread`. */
export function sumError(value: number, terms: number, magnitude: number, spread: number, accuracy: Accuracy): number {
  // Terms of both signs may overflow before they cancel, in another order than the oracle's.
  if (!(magnitude + spread <= largest)) return Infinity;
  const own =
    (terms + 4) * (roundoff * (magnitude + spread) + 2 ** -149) +
    (accuracy.flushesSubnormals ? terms * smallestNormal : 0);
  return settle(value, spread + own, false, accuracy);
}

/** 0 if truncation to an integer is certain. */
export function truncationError(x: number, e: number): number {
  if (Number.isNaN(x) || e === Infinity) return Infinity;
  return e === 0 || Math.trunc(x - e) === Math.trunc(x + e) ? 0 : Infinity;
}

/** Error of rounding an exact integer or literal to the nearest f32; Infinity if that is beyond the largest. */
export function conversionError(value: number): number {
  const rounded = Math.fround(value);
  if (Object.is(rounded, value)) return 0;
  // Half the distance of neighbours: a share of normal numbers, 2^-150 among subnormal ones.
  return Number.isFinite(rounded) ? Math.abs(value) * roundoff + 2 ** -150 : Infinity;
}
