/**
 * The graph language: the few primitives that every program is made of. Everything else is composed of them.
 *
 * Element-wise primitives take inputs of equal shape: broadcasting is spelled out with `reshape` and `expand`.
 * `reduce` keeps its axes with size 1. A new primitive costs one row here, one in `shapeRules`, `vjpRules`, the
 * oracle's `evaluate` and `passes/simplify.ts`, and a case in `kernel/kernelWalk.ts`.
 */
import type { DType, TensorData } from "./dtype.ts";
import type { Shape } from "./shape.ts";

export const unaryOps = [
  "negate",
  "absolute",
  "sign",
  "floor",
  "exp",
  "expm1",
  "log",
  "log1p",
  "sqrt",
  "sin",
  "cos",
  "atan",
  "tanh",
  "sigmoid",
  "erf",
  "roundToFloat16",
  "not",
  "isFinite",
  "isNaN",
] as const;
/**
 * `roundToFloat16` gives the nearest number that 16 bits hold (IEEE 754 binary16, ties to even), as f32. What would be subnormal there is
 * 0 of the same sign, from 65520 on magnitudes are infinite. `not` is bitwise on integers and logical on bool; `isFinite` and `isNaN` take
 * f32 and give bool; the rest keep their dtype.
 */
export type UnaryOp = (typeof unaryOps)[number];

export const binaryOps = [
  "add",
  "subtract",
  "multiply",
  "divide",
  "truncateDivide",
  "fmod",
  "power",
  "maximum",
  "minimum",
  "and",
  "or",
  "xor",
] as const;
/**
 * add, subtract, multiply wrap modulo 2^32 on integers. divide and power are f32 only. truncateDivide is of integers: the quotient
 * towards zero, 0 where the divisor is 0; -2^31 / -1 wraps to -2^31. fmod is f32 only and exact: C's, what is left of x when y is taken
 * off as often as |x| allows. maximum and minimum give NaN if either side is NaN. and, or, xor are bitwise on integers and logical on
 * bool.
 */
export type BinaryOp = (typeof binaryOps)[number];

export const compareOps = ["less", "lessEqual", "equal", "notEqual"] as const;
export type CompareOp = (typeof compareOps)[number];

/** How elements are folded. `max`: NaN wins. */
export type ReduceOp = "sum" | "max";

/**
 * Geometry of a 2-D convolution, shared by its forward pass and its two gradients. Order of pairs: [y, x].
 * x is [N, groups * C, inputSize], w is [groups * O, C, kernelSize], y is [N, groups * O, outputSize].
 */
export type ConvGeometry = {
  readonly inputSize: readonly [number, number];
  readonly kernelSize: readonly [number, number];
  readonly outputSize: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Zeros added before the first row and column. The size after the last follows from the other numbers. */
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
};

export type ConvRole = "forward" | "inputGradient" | "filterGradient";

/** Inputs and attributes of each primitive. */
export type Primitives = {
  /** A concrete array of the host. */
  constant: {
    inputs: readonly [];
    attributes: { readonly dtype: DType; readonly shape: Shape; readonly data: TensorData };
  };
  /** A number known at compile time, shape []. */
  literal: { inputs: readonly []; attributes: { readonly dtype: DType; readonly value: number } };
  /** An argument of the traced function. */
  input: { inputs: readonly []; attributes: { readonly dtype: DType; readonly shape: Shape; readonly name: string } };
  /** The coordinate along `axis`. */
  iota: { inputs: readonly []; attributes: { readonly dtype: DType; readonly shape: Shape; readonly axis: number } };
  unary: { inputs: readonly [Node]; attributes: { readonly op: UnaryOp } };
  binary: { inputs: readonly [Node, Node]; attributes: { readonly op: BinaryOp } };
  compare: { inputs: readonly [Node, Node]; attributes: { readonly op: CompareOp } };
  /** `condition ? x : y`; inputs [condition, x, y]. */
  select: { inputs: readonly [Node, Node, Node]; attributes: Empty };
  /**
   * To an integer: truncates towards zero and saturates (NaN is reported by the runtime checks). From bool: 0 or 1.
   * To bool: is it non-zero. Between i32 and u32: same bits. `isFinite`: an f32 is known to be a number, and isn't looked at when the
   * program runs.
   */
  cast: { inputs: readonly [Node]; attributes: { readonly dtype: DType; readonly isFinite?: true } };
  /** By a constant 0..31; right shifts of i32 keep the sign. */
  shift: { inputs: readonly [Node]; attributes: { readonly direction: "left" | "right"; readonly amount: number } };
  /** One word of Threefry-2x32-20 (Salmon et al. 2011); inputs [key0, key1, counter0, counter1], u32. */
  threefry: { inputs: readonly [Node, Node, Node, Node]; attributes: { readonly word: 0 | 1 } };
  /** Keeps the axes with size 1. `sum` of f32, i32, u32; `max` of f32, i32, u32 with NaN winning. Axes ascending. */
  reduce: { inputs: readonly [Node]; attributes: { readonly op: ReduceOp; readonly axes: readonly number[] } };
  reshape: { inputs: readonly [Node]; attributes: { readonly shape: Shape } };
  /** Output axis i is input axis order[i]. */
  permute: { inputs: readonly [Node]; attributes: { readonly order: readonly number[] } };
  /** Repeats axes of size 1; same rank. */
  expand: { inputs: readonly [Node]; attributes: { readonly shape: Shape } };
  /** Element i of axis a is element start[a] + i * step[a]; step is not 0 and may be negative. */
  slice: {
    inputs: readonly [Node];
    attributes: {
      readonly start: readonly number[];
      readonly size: readonly number[];
      readonly step: readonly number[];
    };
  };
  /** `low[a]` elements `value` before and `high[a]` after axis a; not negative. */
  pad: {
    inputs: readonly [Node];
    attributes: { readonly low: readonly number[]; readonly high: readonly number[]; readonly value: number };
  };
  concat: { inputs: readonly Node[]; attributes: { readonly axis: number } };
  /**
   * Along `axis`, element [.., k, ..] is x[.., index[.., k, ..], ..]. Inputs [x, index]: the index, i32, has the rank of x and any
   * size along the axis; its other sizes are those of x, or 1: the same for all. An index out of range counts as the nearest in range. The
   * rules of derivatives take all indices to be in range: operations `check` those that may not be, and such a run ends.
   */
  gather: { inputs: readonly [Node, Node]; attributes: { readonly axis: number } };
  /**
   * The transpose of `gather`: `size` elements along `axis`, each the `op` of those of the values whose index it is, in their order; of
   * none the neutral element. Inputs [values, index]: the index has the size of the values along the axis, and else as in `gather`.
   * What has an index out of range goes nowhere, save in derivatives, as in `gather`. Values are f32, i32 or u32.
   */
  scatter: {
    inputs: readonly [Node, Node];
    attributes: { readonly op: ReduceOp; readonly axis: number; readonly size: number };
  };
  /** [B, M, K] times [B, K, N]. */
  matmul: { inputs: readonly [Node, Node]; attributes: Empty };
  /** forward: (x, w) to y. inputGradient: (y, w) to x. filterGradient: (x, y) to w. */
  conv: { inputs: readonly [Node, Node]; attributes: { readonly role: ConvRole; readonly geometry: ConvGeometry } };
  /** The identity, through which no derivative passes. */
  stopGradient: { inputs: readonly [Node]; attributes: Empty };
  /** x; a run in which any of `failed` (bool, any shape) is true ends with the message. Inputs [x, failed]. */
  check: { inputs: readonly [Node, Node]; attributes: { readonly message: string } };
  /**
   * The identity on x; inputs [x, after]. What is computed of it is computed behind `after`, and is never the same computation as that of
   * x itself.
   */
  barrier: { inputs: readonly [Node, Node]; attributes: Empty };
  /** The identity on the first input, whose derivative is taken as the rule says. What the rule needs besides is behind it. */
  ruled: { inputs: readonly [Node, ...Node[]]; attributes: { readonly rule: DerivativeRule } };
  /** A result of a loop. Its inputs: first values of what is carried, arrays of which each iteration gets a row, and what all get. */
  loop: { inputs: readonly Node[]; attributes: { readonly loop: Loop; readonly result: LoopResult } };
};

/** A graph that is run `length` times: what it gives for what is carried is what the next iteration gets. */
export type Loop = {
  readonly id: number;
  /** Inputs: what is carried, rows, what stays the same. Outputs: what is carried on, then values that are stacked. */
  readonly body: { readonly inputs: readonly NodeOf<"input">[]; readonly outputs: readonly Node[] };
  readonly length: number;
  /** Whether rows are taken, and results stacked, from the last one to the first. */
  readonly reverse: boolean;
  readonly carried: number;
  readonly rows: number;
};

export type LoopResult =
  /** What is carried out of the last iteration. */
  | { readonly kind: "carry"; readonly index: number }
  /** The values of all iterations, [length, ...]. */
  | { readonly kind: "stacked"; readonly index: number }
  /** What was carried into each iteration, [length, ...]. */
  | { readonly kind: "history"; readonly index: number }
  /** Whether a bool scalar of the body is true in any iteration. */
  | { readonly kind: "any"; readonly node: Node };

/** How the derivative of a value is taken, where it isn't that of the nodes it is made of. */
export type DerivativeRule =
  /** It is that of the second input, which has the shape and dtype of the value. */
  | { readonly kind: "surrogate" }
  /** What was made within the region is computed again for the derivative. */
  | { readonly kind: "recompute"; readonly region: Region }
  /** Result number `result` of a call that brings its derivative along. Behind the value are the tensors of its arguments. */
  | { readonly kind: "custom"; readonly call: CustomCall; readonly result: number };

/** The nodes with numbers from `first` to before `end`. */
export type Region = { readonly first: number; readonly end: number };

export type CustomCall = {
  readonly id: number;
  /**
   * For each tensor of the arguments the derivative of the sum of <result i, cotangents[i]> with respect to it; null: none.
   * @param args the tensors of the arguments
   * @param cotangents of each result; null of those that nothing depends on
   */
  readonly pull: (args: readonly Node[], cotangents: readonly (Node | null)[]) => readonly (Node | null)[];
};

export type Empty = { readonly [key: string]: never };

export type PrimitiveKind = keyof Primitives;

export type NodeOf<K extends PrimitiveKind> = {
  readonly id: number;
  readonly kind: K;
  readonly inputs: Primitives[K]["inputs"];
  readonly attributes: Primitives[K]["attributes"];
  readonly shape: Shape;
  readonly dtype: DType;
};

/** One immutable value of a program. A node's `kind` tells its inputs and attributes. */
export type Node = { [K in PrimitiveKind]: NodeOf<K> }[PrimitiveKind];
