/** Element-wise primitives as ONNX's operators. NaN, infinities and integers that wrap are as the engine has them. */
import type { DType } from "../../engine/graph/dtype.ts";
import type { BinaryOp, CompareOp, NodeOf, UnaryOp } from "../../engine/graph/node.ts";
import type { GraphWriter } from "./graphWriter.ts";
import { divideInteger, flipped } from "./integers.ts";

type Unary = (w: GraphWriter, x: string, dtype: DType) => string;

const plain =
  (operator: string): Unary =>
  (w, x) =>
    w.op(operator, [x]);

const float = (w: GraphWriter, value: number): string => w.number("f32", value);

/** The exponential less 1, exact for small x: (e - 1) x / ln e with e = e^x rounded, whose error cancels (Kahan). */
const expm1: Unary = (w, x) => {
  const e = w.op("Exp", [x]);
  const less = w.op("Sub", [e, float(w, 1)]);
  const exact = w.op("Mul", [less, w.op("Div", [x, w.op("Log", [e])])]);
  // Where e is 1, 0 or infinite the quotient is none, and the answer x, -1 or infinity.
  const ofLarge = w.op("Where", [w.op("Equal", [less, float(w, Infinity)]), less, exact]);
  const ofSmall = w.op("Where", [w.op("Equal", [less, float(w, -1)]), less, ofLarge]);
  return w.op("Where", [w.op("Equal", [e, float(w, 1)]), x, ofSmall]);
};

/** ln(1 + x), exact for small x: ln(s) x / (s - 1) with s = 1 + x rounded (Kahan). */
const log1p: Unary = (w, x) => {
  const sum = w.op("Add", [x, float(w, 1)]);
  const exact = w.op("Mul", [w.op("Log", [sum]), w.op("Div", [x, w.op("Sub", [sum, float(w, 1)])])]);
  const ofLarge = w.op("Where", [w.op("Equal", [sum, float(w, Infinity)]), sum, exact]);
  return w.op("Where", [w.op("Equal", [sum, float(w, 1)]), x, ofLarge]);
};

/** To 16 bits and back; what is subnormal there is 0 of its sign. */
const roundToFloat16: Unary = (w, x) => {
  const rounded = w.cast(w.cast(x, "f16"), "f32");
  const isSmall = w.op("Less", [w.op("Abs", [rounded]), float(w, 2 ** -14)]);
  return w.op("Where", [isSmall, w.op("Mul", [rounded, float(w, 0)]), rounded]);
};

const unaries: { readonly [K in UnaryOp]: Unary } = {
  negate: plain("Neg"),
  absolute: (w, x, dtype) => (dtype === "u32" ? x : w.op("Abs", [x])),
  sign: (w, x, dtype) => {
    if (dtype !== "u32") return w.op("Sign", [x]);
    return w.cast(w.op("Not", [w.op("Equal", [x, w.number("u32", 0)])]), "i32");
  },
  floor: plain("Floor"),
  exp: plain("Exp"),
  expm1,
  log: plain("Log"),
  log1p,
  sqrt: plain("Sqrt"),
  sin: plain("Sin"),
  cos: plain("Cos"),
  atan: plain("Atan"),
  tanh: plain("Tanh"),
  sigmoid: plain("Sigmoid"),
  erf: plain("Erf"),
  roundToFloat16,
  not: (w, x, dtype) => w.op(dtype === "bool" ? "Not" : "BitwiseNot", [x]),
  isFinite: (w, x) => w.op("Less", [w.op("Abs", [x]), float(w, Infinity)]),
  isNaN: plain("IsNaN"),
};

export function unary(w: GraphWriter, node: NodeOf<"unary">): string {
  const [input] = node.inputs;
  return unaries[node.attributes.op](w, w.value(input), input.dtype);
}

type Binary = (w: GraphWriter, x: string, y: string, dtype: DType) => string;

const ofTwo =
  (operator: string): Binary =>
  (w, x, y) =>
    w.op(operator, [x, y]);

/** Unsigned integers with their top bits flipped are ordered as signed ones are. */
const ordered =
  (operator: string): Binary =>
  (w, x, y, dtype) =>
    dtype === "u32" ? flipped(w, w.op(operator, [flipped(w, x), flipped(w, y)])) : w.op(operator, [x, y]);

const logical =
  (ofBools: string, ofBits: string): Binary =>
  (w, x, y, dtype) =>
    w.op(dtype === "bool" ? ofBools : ofBits, [x, y]);

const binaries: { readonly [K in BinaryOp]: Binary } = {
  add: ofTwo("Add"),
  subtract: ofTwo("Sub"),
  multiply: ofTwo("Mul"),
  divide: ofTwo("Div"),
  truncateDivide: divideInteger,
  fmod: (w, x, y) => w.op("Mod", [x, y], { fmod: { int: 1 } }),
  power: ofTwo("Pow"),
  maximum: ordered("Max"),
  minimum: ordered("Min"),
  and: logical("And", "BitwiseAnd"),
  or: logical("Or", "BitwiseOr"),
  xor: logical("Xor", "BitwiseXor"),
};

export function binary(w: GraphWriter, node: NodeOf<"binary">): string {
  const [x = "", y = ""] = w.operands(node);
  return binaries[node.attributes.op](w, x, y, node.dtype);
}

const comparisons: { readonly [K in CompareOp]: Binary } = {
  less: (w, x, y, dtype) => less(w, "Less", x, y, dtype),
  lessEqual: (w, x, y, dtype) => less(w, "LessOrEqual", x, y, dtype),
  equal: ofTwo("Equal"),
  notEqual: (w, x, y) => w.op("Not", [w.op("Equal", [x, y])]),
};

function less(w: GraphWriter, operator: string, x: string, y: string, dtype: DType): string {
  return dtype === "u32" ? w.op(operator, [flipped(w, x), flipped(w, y)]) : w.op(operator, [x, y]);
}

export function compare(w: GraphWriter, node: NodeOf<"compare">): string {
  const [x = "", y = ""] = w.operands(node);
  return comparisons[node.attributes.op](w, x, y, node.inputs[0].dtype);
}

/** Runtimes choose between numbers alone: truth values are chosen by logic. */
export function select(w: GraphWriter, node: NodeOf<"select">): string {
  const [condition = "", x = "", y = ""] = w.operands(node);
  if (node.dtype !== "bool") return w.op("Where", [condition, x, y]);
  return w.op("Or", [w.op("And", [condition, x]), w.op("And", [w.op("Not", [condition]), y])]);
}

/** The largest f32 below 2^31 and 2^32, and these. */
const integerRanges = {
  i32: { low: -(2 ** 31), high: 2147483520, beyond: 2 ** 31, largest: 2 ** 31 - 1 },
  u32: { low: 0, high: 4294967040, beyond: 2 ** 32, largest: 2 ** 32 - 1 },
} as const;

export function cast(w: GraphWriter, node: NodeOf<"cast">): string {
  const [{ dtype: from }] = node.inputs;
  const x = w.value(node.inputs[0]);
  const to = node.dtype;
  if (from === to) return x;
  switch (to) {
    case "bool":
      return w.cast(x, "bool");
    case "f32":
      return w.cast(from === "u32" ? w.cast(x, "u32") : x, "f32");
    case "i32":
    case "u32": {
      if (from === "bool") return w.cast(x, "i32");
      if (from !== "f32") return x;
      // What is out of range saturates, and NaN is 0: what ONNX leaves open is not asked of it.
      const { low, high, beyond, largest } = integerRanges[to];
      const number = w.op("Where", [w.op("IsNaN", [x]), float(w, 0), x]);
      const within = w.op("Clip", [number, float(w, low), float(w, high)]);
      const whole = to === "i32" ? w.cast(within, "i32") : w.cast(w.cast(within, "u32"), "i32");
      const isBeyond = w.op("LessOrEqual", [float(w, beyond), number]);
      return w.op("Where", [isBeyond, w.number(to, largest), whole]);
    }
  }
}
