/** Unary, binary and comparison operations on f32 and bool values, which are one number each (bool: 0 or 1). */
import type { BinaryOp, CompareOp, UnaryOp } from "../../../graph/node.ts";
import type { HelperName } from "./helperDefinition.ts";
import { finiteCondition } from "./numbers.ts";
import type { KernelWriter } from "./writer.ts";

type MathFunction = { readonly native: string; readonly helper: HelperName };

/** `cpu` runs JavaScript's Math in f64; elsewhere our own functions stand in for the drivers'. */
const mathFunctions = {
  exp: { native: "Math.exp", helper: "exponential" },
  expm1: { native: "Math.expm1", helper: "exponentialMinusOne" },
  log: { native: "Math.log", helper: "logarithm" },
  log1p: { native: "Math.log1p", helper: "logarithmOfOnePlus" },
  sin: { native: "Math.sin", helper: "sine" },
  cos: { native: "Math.cos", helper: "cosine" },
  atan: { native: "Math.atan", helper: "arctangent" },
  tanh: { native: "Math.tanh", helper: "hyperbolicTangent" },
} as const satisfies Partial<Record<UnaryOp, MathFunction>>;

/** f32 only, except `not` (bool). */
export function unaryNumber(writer: KernelWriter, op: UnaryOp, x: string): string {
  switch (op) {
    case "negate":
      return `(-${x})`;
    case "absolute":
      return `Math.abs(${x})`;
    case "floor":
      return `Math.floor(${x})`;
    case "sqrt":
      return `Math.sqrt(${x})`;
    case "sign": {
      const value = writer.atom(x);
      // The last branch is 0, -0 or NaN.
      return writer.local(`(${value} > 0 ? 1 : (${value} < 0 ? (-1) : ${value}))`);
    }
    case "not":
      return `(1 - ${x})`;
    case "isFinite":
      return writer.local(`(${finiteCondition(writer.atom(x))} ? 1 : 0)`);
    case "isNaN": {
      const value = writer.atom(x);
      return writer.local(`(${value} === ${value} ? 0 : 1)`);
    }
    case "sigmoid":
      return writer.mode === "cpu" ? `(1 / (1 + Math.exp(-${x})))` : writer.call("logistic", x);
    case "erf":
      return writer.call("errorFunction", x);
    case "roundToFloat16":
      return writer.call("nearestFloat16", x);
    case "exp":
    case "expm1":
    case "log":
    case "log1p":
    case "sin":
    case "cos":
    case "atan":
    case "tanh": {
      const { native, helper } = mathFunctions[op];
      return writer.mode === "cpu" ? `${native}(${x})` : writer.call(helper, x);
    }
  }
}

/** On f32, and on bool for `and`, `or`, `xor`, `maximum`, `minimum`. */
export function binaryNumber(writer: KernelWriter, op: BinaryOp, x: string, y: string): string {
  switch (op) {
    case "add":
      return `(${x} + ${y})`;
    case "subtract":
      return `(${x} - ${y})`;
    case "multiply":
    case "and":
      return `(${x} * ${y})`;
    case "divide":
      return `(${x} / ${y})`;
    case "maximum":
      return extremum(writer, ">", writer.atom(x), writer.atom(y));
    case "minimum":
      return extremum(writer, "<", writer.atom(x), writer.atom(y));
    case "or":
      return extremum(writer, ">", writer.atom(x), writer.atom(y));
    case "xor":
      return `Math.abs(${x} - ${y})`;
    case "truncateDivide":
      throw new Error("truncateDivide is of integers");
    case "fmod":
      return writer.mode === "cpu" ? `(${x} % ${y})` : writer.call("floatRemainder", x, y);
    case "power":
      return writer.call(writer.mode === "cpu" ? "powerOfDoubles" : "powerOf", x, y);
  }
}

/** The larger (or smaller) of two; if a comparison fails either way, one is NaN, and so is their sum. */
export function extremum(writer: KernelWriter, operator: ">" | "<", x: string, y: string): string {
  return writer.local(`(${x} ${operator} ${y} ? ${x} : (${y} ${operator}= ${x} ? ${y} : ${x} + ${y}))`);
}

/** The comparison as a condition; false where either side is NaN, except `notEqual`. */
export function compareCondition(op: CompareOp, x: string, y: string): string {
  switch (op) {
    case "less":
      return `(${x} < ${y})`;
    case "lessEqual":
      return `(${x} <= ${y})`;
    case "equal":
      return `(${x} === ${y})`;
    case "notEqual":
      // WGSL's `!=` is false for NaN.
      return `(!(${x} === ${y}))`;
  }
}
