/** Scalar operations in float64 and exact 32-bit integers. bool is 0 or 1. */
import type { DType } from "../../graph/dtype.ts";
import type { BinaryOp, CompareOp, UnaryOp } from "../../graph/node.ts";
import { errorFunction } from "./errorFunction.ts";

/** Wraps integers modulo 2^32. */
export function wrap(value: number, dtype: DType): number {
  return dtype === "i32" ? value | 0 : dtype === "u32" ? value >>> 0 : value;
}

export function unaryScalar(op: UnaryOp, x: number, dtype: DType): number {
  switch (op) {
    case "negate":
      return wrap(-x, dtype);
    case "absolute":
      return wrap(Math.abs(x), dtype);
    case "sign":
      return Math.sign(x);
    case "floor":
      return Math.floor(x);
    case "exp":
      return Math.exp(x);
    case "expm1":
      return Math.expm1(x);
    case "log":
      return Math.log(x);
    case "log1p":
      return Math.log1p(x);
    case "sqrt":
      return Math.sqrt(x);
    case "sin":
      return Math.sin(x);
    case "cos":
      return Math.cos(x);
    case "atan":
      return Math.atan(x);
    case "tanh":
      return Math.tanh(x);
    case "sigmoid":
      return 1 / (1 + Math.exp(-x));
    case "erf":
      return errorFunction(x);
    case "roundToFloat16":
      return roundToFloat16(x);
    case "not":
      return dtype === "bool" ? 1 - x : wrap(~x, dtype);
    case "isFinite":
      return Number(Number.isFinite(x));
    case "isNaN":
      return Number(Number.isNaN(x));
  }
}

export function binaryScalar(op: BinaryOp, x: number, y: number, dtype: DType): number {
  switch (op) {
    case "add":
      return wrap(x + y, dtype);
    case "subtract":
      return wrap(x - y, dtype);
    case "multiply":
      return dtype === "f32" ? x * y : wrap(Math.imul(x, y), dtype);
    case "divide":
      return x / y;
    case "truncateDivide":
      // Quotients of 32-bit numbers are at least 2^-32 away from whole numbers that they aren't: far more than float64 rounds off.
      return y === 0 ? 0 : wrap(Math.trunc(x / y), dtype);
    case "fmod":
      return x % y;
    case "power":
      return power(x, y);
    case "maximum":
      return Math.max(x, y);
    case "minimum":
      return Math.min(x, y);
    case "and":
      return wrap(x & y, dtype);
    case "or":
      return wrap(x | y, dtype);
    case "xor":
      return wrap(x ^ y, dtype);
  }
}

/** See `UnaryOp`; rounds once, from float64. */
function roundToFloat16(x: number): number {
  const magnitude = Math.abs(x);
  if (Number.isNaN(x) || magnitude >= 65520) return x * Infinity;
  // The number half way between the largest subnormal one and 2^-14 goes to the latter.
  if (magnitude < 2 ** -14 - 2 ** -25) return 0 * x;
  let unit = 2 ** -24;
  while (magnitude >= 2048 * unit) unit *= 2;
  const units = magnitude / unit;
  const below = Math.floor(units);
  const rest = units - below;
  const isUp = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return Math.sign(x) * (below + Number(isUp)) * unit;
}

/** C's pow: unlike JavaScript, 1 to any power and -1 to an infinite one are 1. */
function power(x: number, y: number): number {
  if (x === 1 || (x === -1 && Math.abs(y) === Infinity)) return 1;
  return x ** y;
}

export function compareScalar(op: CompareOp, x: number, y: number): number {
  switch (op) {
    case "less":
      return Number(x < y);
    case "lessEqual":
      return Number(x <= y);
    case "equal":
      return Number(x === y);
    case "notEqual":
      return Number(x !== y);
  }
}

/** See the primitive `cast`; NaN becomes 0 in an integer. */
export function castScalar(x: number, from: DType, to: DType): number {
  if (to === "f32") return x;
  if (to === "bool") return Number(x !== 0);
  if (from !== "f32") return wrap(x, to);
  const [low, high] = to === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  // Adding 0 turns -0, which no integer is, into 0.
  return Number.isNaN(x) ? 0 : Math.min(high, Math.max(low, Math.trunc(x))) + 0;
}

export function shiftScalar(direction: "left" | "right", amount: number, x: number, dtype: DType): number {
  if (direction === "left") return wrap(x << amount, dtype);
  return dtype === "u32" ? x >>> amount : x >> amount;
}

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/** Threefry-2x32 with 20 rounds (Salmon et al., SC 2011). */
export function threefryScalar(word: 0 | 1, key0: number, key1: number, counter0: number, counter1: number): number {
  const keys = [key0, key1, (key0 ^ key1 ^ 0x1bd11bda) >>> 0] as const;
  let x = (counter0 + key0) >>> 0;
  let y = (counter1 + key1) >>> 0;
  for (const injection of [1, 2, 3, 4, 5] as const) {
    for (const rotation of rotations[injection % 2 === 1 ? 0 : 1]) {
      x = (x + y) >>> 0;
      y = (((y << rotation) | (y >>> (32 - rotation))) ^ x) >>> 0;
    }
    x = (x + keyOf(keys, injection)) >>> 0;
    y = (y + keyOf(keys, injection + 1) + injection) >>> 0;
  }
  return word === 0 ? x : y;
}

function keyOf(keys: readonly [number, number, number], injection: number): number {
  const place = injection % 3;
  return place === 0 ? keys[0] : place === 1 ? keys[1] : keys[2];
}
