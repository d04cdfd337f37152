/** Operations of the kernel language as WGSL, on one value or four. Texts are in brackets where others may follow. */
import { isInteger, type DType } from "../../../graph/dtype.ts";
import type { BinaryOp, CompareOp, UnaryOp } from "../../../graph/node.ts";
import type { FunctionName } from "./functions.ts";
import { numeral, splat, valueType, type Lanes } from "./types.ts";
import type { WgslWriter } from "./writer.ts";

const ownFunctions = {
  exp: "exponential",
  expm1: "exponentialMinusOne",
  log: "logarithm",
  log1p: "logarithmOfOnePlus",
  sin: "sine",
  cos: "cosine",
  atan: "arctangent",
  tanh: "hyperbolicTangent",
  sigmoid: "logistic",
  erf: "errorFunction",
  roundToFloat16: "nearestFloat16",
  isFinite: "hasFiniteBits",
  isNaN: "isNotANumber",
} as const satisfies Partial<Record<UnaryOp, FunctionName>>;

/** @param x a name or a call, of `dtype` */
export function unaryText(writer: WgslWriter, op: UnaryOp, x: string, dtype: DType, lanes: Lanes): string {
  const constant = (value: number): string => splat(numeral(value, dtype), dtype, lanes);
  switch (op) {
    case "negate":
      // u32 has no minus of its own.
      return dtype === "u32" ? `(${constant(0)} - ${x})` : `(-${x})`;
    case "absolute":
      return `abs(${x})`;
    case "sign": {
      const value = writer.atom(x);
      // What is neither is 0, -0 or NaN.
      const upper = `${constant(1)}, ${value} > ${constant(0)})`;
      if (dtype === "u32") return `select(${value}, ${upper}`;
      return `select(select(${value}, ${constant(-1)}, ${value} < ${constant(0)}), ${upper}`;
    }
    case "floor":
      return dtype === "f32" ? `floor(${x})` : x;
    case "sqrt":
      return `sqrt(${x})`;
    case "not":
      return dtype === "bool" ? `(!${x})` : `(~${x})`;
    case "exp":
    case "expm1":
    case "log":
    case "log1p":
    case "sin":
    case "cos":
    case "atan":
    case "tanh":
    case "sigmoid":
    case "erf":
    case "roundToFloat16":
    case "isFinite":
    case "isNaN":
      return writer.call(ownFunctions[op], lanes, x);
  }
}

/** On values of `dtype`, which the result has too. */
export function binaryText(writer: WgslWriter, op: BinaryOp, x: string, y: string, dtype: DType, lanes: Lanes): string {
  switch (op) {
    case "add":
      return `(${x} + ${y})`;
    case "subtract":
      return `(${x} - ${y})`;
    case "multiply":
      return dtype === "bool" ? `(${x} & ${y})` : `(${x} * ${y})`;
    case "divide":
      return `(${x} / ${y})`;
    case "maximum":
      return extremum(writer, "maximum", x, y, dtype, lanes);
    case "minimum":
      return extremum(writer, "minimum", x, y, dtype, lanes);
    case "and":
      return `(${x} & ${y})`;
    case "or":
      return `(${x} | ${y})`;
    case "xor":
      return dtype === "bool" ? `(${x} != ${y})` : `(${x} ^ ${y})`;
    case "truncateDivide":
      return writer.call(dtype === "i32" ? "divideSigned" : "divideUnsigned", lanes, x, y);
    case "fmod":
      return writer.call("floatRemainder", lanes, x, y);
    case "power":
      return writer.call("power", lanes, x, y);
  }
}

/** NaN where either is NaN; of bools whether any is true, or both are. */
export function extremum(
  writer: WgslWriter,
  op: "maximum" | "minimum",
  x: string,
  y: string,
  dtype: DType,
  lanes: Lanes,
): string {
  if (dtype === "f32") return writer.call(op === "maximum" ? "larger" : "smaller", lanes, x, y);
  if (dtype === "bool") return `(${x} ${op === "maximum" ? "|" : "&"} ${y})`;
  return `${op === "maximum" ? "max" : "min"}(${x}, ${y})`;
}

/** The comparison; false where either side is NaN, except `notEqual`. */
export function compareText(op: CompareOp, x: string, y: string, dtype: DType): string {
  switch (op) {
    case "less":
      return dtype === "bool" ? `((!${x}) & ${y})` : `(${x} < ${y})`;
    case "lessEqual":
      return dtype === "bool" ? `((!${x}) | ${y})` : `(${x} <= ${y})`;
    case "equal":
      return `(${x} == ${y})`;
    case "notEqual":
      // WGSL's `!=` is false for NaN.
      return `(!(${x} == ${y}))`;
  }
}

export function castText(writer: WgslWriter, x: string, from: DType, to: DType, lanes: Lanes): string {
  if (from === to) return x;
  if (to === "bool") return `(!(${x} == ${splat(numeral(0, from), from, lanes)}))`;
  if (from === "f32") return writer.call(to === "i32" ? "toSigned" : "toUnsigned", lanes, x);
  if (isInteger(from) && isInteger(to)) return `bitcast<${valueType(to, lanes)}>(${x})`;
  return `${valueType(to, lanes)}(${x})`;
}
