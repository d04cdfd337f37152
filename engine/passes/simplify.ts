/**
 * Simplification and removal of common subexpressions, bottom-up. Every rule keeps values bit for bit, save that
 * arithmetic of literals is done in float64 and rounded once, and that small whole powers become products.
 */
import { type Graph, makeNode, rewriteGraph, withInputs } from "../graph/graph.ts";
import type { BinaryOp, Node, NodeOf, PrimitiveKind } from "../graph/node.ts";
import { neutralElement } from "../graph/neutralElement.ts";
import { operationName } from "../graph/print.ts";
import { at, sameShape, type Shape, sizeOf } from "../graph/shape.ts";
import { uniformValue } from "../graph/uniform.ts";
import { structuralKey } from "./structuralKey.ts";

export function simplify(graph: Graph): Graph {
  const known = new Map<string, Node>();
  const intern = (node: Node): Node => {
    const key = structuralKey(node);
    const first = known.get(key);
    if (first === undefined) known.set(key, node);
    return first ?? node;
  };
  const settle = (node: Node): Node => {
    const simpler = simplifyNode(node);
    if (simpler === undefined) return intern(node);
    // A rule may build a small tree whose inner nodes are new: settle them first.
    return settleTree(simpler);
  };
  const settled = new Set<Node>();
  const settleTree = (node: Node): Node => {
    if (settled.has(node)) return node;
    const result = settle(withInputs(node, node.inputs.map(settleTree)));
    settled.add(result);
    return result;
  };
  return rewriteGraph(graph, (node) => {
    const result = settle(node);
    settled.add(result);
    return result;
  });
}

/** Something simpler with the same value, or undefined if no rule applies. */
function simplifyNode<K extends PrimitiveKind>(node: NodeOf<K>): Node | undefined {
  return rules[node.kind](node);
}

function uniform(value: number, { dtype, shape }: Pick<Node, "dtype" | "shape">): Node {
  const scalar = makeNode("literal", [], { dtype, value });
  return makeNode("expand", [makeNode("reshape", [scalar], { shape: shape.map(() => 1) })], { shape });
}

const none = (): undefined => undefined;

const rules: { readonly [K in PrimitiveKind]: (node: NodeOf<K>) => Node | undefined } = {
  constant: none,
  literal: none,
  input: none,
  iota: none,
  unary: (node) => simplifyUnary(node) ?? pushExpand(node),
  binary: (node) => simplifyBinary(node) ?? pushExpand(node),
  compare: pushExpand,
  select: (node) => simplifySelect(node) ?? pushExpand(node),
  cast: (node) => (node.inputs[0].dtype === node.dtype ? node.inputs[0] : pushExpand(node)),
  shift: (node) => (node.attributes.amount === 0 ? node.inputs[0] : pushExpand(node)),
  threefry: pushExpand,
  reduce: (node) => {
    const [x] = node.inputs;
    return sameShape(x.shape, node.shape) ? x : ofNothing(node, neutralElement(node.attributes.op, node.dtype));
  },
  reshape: simplifyReshape,
  permute: simplifyPermute,
  expand: simplifyExpand,
  slice: simplifySlice,
  pad: (node) => {
    const [x] = node.inputs;
    return sameShape(x.shape, node.shape) ? x : ofNothing(node, node.attributes.value);
  },
  concat: simplifyConcat,
  gather: none,
  scatter: (node) => ofNothing(node, neutralElement(node.attributes.op, node.dtype)),
  matmul: (node) => ofNothing(node, 0),
  conv: (node) => ofNothing(node, 0),
  stopGradient: (node) => node.inputs[0],
  // What it asks is asked by outputs of their own (`runtimeChecks.ts`).
  check: (node) => node.inputs[0],
  barrier: simplifyBarrier,
  ruled: (node) => node.inputs[0],
  loop: none,
};

/** `value` everywhere if an input has no elements: no kernel needs to read an empty buffer then. */
function ofNothing(node: Node, value: number): Node | undefined {
  return node.inputs.some((input) => sizeOf(input.shape) === 0) ? uniform(value, node) : undefined;
}

function simplifyUnary(node: NodeOf<"unary">): Node | undefined {
  const [x] = node.inputs;
  const { op } = node.attributes;
  if (operationName(x) === op && (op === "negate" || op === "not")) return x.inputs[0];
  if (operationName(x) === op && op === "roundToFloat16") return x;
  const value = uniformValue(x);
  if (value === undefined || node.dtype !== "f32") return undefined;
  if (op === "negate") return uniform(-value, node);
  if (op === "sqrt") return uniform(Math.sqrt(Math.fround(value)), node);
  return undefined;
}

/** Arithmetic of f32 literals. */
const folds: { readonly [op in BinaryOp]?: (x: number, y: number) => number } = {
  add: (x, y) => x + y,
  subtract: (x, y) => x - y,
  multiply: (x, y) => x * y,
  divide: (x, y) => x / y,
};

/** What an operation gives for some operands: `left` and `right` are their values where these are uniform. */
type BinaryRule = (x: Node, y: Node, left: number | undefined, right: number | undefined) => Node | undefined;

const sameOperands: BinaryRule = (x, y) => (x === y ? x : undefined);

const binaryRules: { readonly [op in BinaryOp]: BinaryRule } = {
  add: (x, y, left, right) => {
    // For f32 only -0 is neutral: -0 + 0 is 0.
    if (x.dtype === "f32") return undefined;
    if (left === 0) return y;
    return right === 0 ? x : undefined;
  },
  subtract: (x, _y, _left, right) => (Object.is(right, 0) ? x : undefined),
  multiply: (x, y, left, right) => {
    if (left === 1) return y;
    return right === 1 ? x : undefined;
  },
  divide: (x, _y, _left, right) => (right === 1 ? x : undefined),
  truncateDivide: (x, _y, _left, right) => (right === 1 ? x : undefined),
  fmod: none,
  power: (x, _y, _left, right) => (right === undefined ? undefined : wholePower(x, right)),
  maximum: sameOperands,
  minimum: sameOperands,
  and: sameOperands,
  or: sameOperands,
  xor: none,
};

/**
 * x^n as products for those n where these are as accurate as a power is promised to be: four roundings at most. Nothing on the way
 * overflows or underflows unless the result does.
 */
function wholePower(x: Node, exponent: number): Node | undefined {
  const times = (a: Node, b: Node): Node => makeNode("binary", [a, b], { op: "multiply" });
  const inverse = (): Node => makeNode("binary", [uniform(1, x), x], { op: "divide" });
  const square = times(x, x);
  switch (exponent) {
    case -2:
      return times(inverse(), inverse());
    case -1:
      return inverse();
    case 1:
      return x;
    case 2:
      return square;
    case 3:
      return times(square, x);
    case 4:
      return times(square, square);
    case 5:
      return times(times(square, square), x);
    default:
      return undefined;
  }
}

function simplifyBinary(node: NodeOf<"binary">): Node | undefined {
  const [x, y] = node.inputs;
  const { op } = node.attributes;
  const [left, right] = [uniformValue(x), uniformValue(y)];
  if (left !== undefined && right !== undefined && node.dtype === "f32") {
    const folded = folds[op]?.(Math.fround(left), Math.fround(right));
    if (folded !== undefined) return uniform(folded, node);
  }
  return binaryRules[op](x, y, left, right);
}

function simplifySelect(node: NodeOf<"select">): Node | undefined {
  const [condition, x, y] = node.inputs;
  if (x === y) return x;
  const value = uniformValue(condition);
  if (value !== undefined) return value !== 0 ? x : y;
  return isClamp(node) ? y : undefined;
}

/**
 * Whether this is what `clamp` makes of numbers: `low <= v ? (v <= high ? v : limited) : limited` where limited is
 * min(max(v, low), high), the same bits unless a bound is 0, whose sign differs. Only derivatives tell them apart.
 */
function isClamp({ inputs: [condition, inner, limited] }: NodeOf<"select">): boolean {
  const [raised, high] = limited.inputs;
  const [v, low] = [raised?.inputs[0], raised?.inputs[1]];
  const [within] = inner.inputs;
  return (
    hasSign(low) &&
    hasSign(high) &&
    isOf("minimum", limited, raised, high) &&
    isOf("maximum", raised, v, low) &&
    isOf("lessEqual", condition, low, v) &&
    isOf("lessEqual", within, v, high) &&
    isOf("select", inner, within, v, limited)
  );
}

/** Whether this is known to be one number other than 0. */
function hasSign(bound: Node | undefined): boolean {
  return bound !== undefined && (uniformValue(bound) ?? 0) !== 0;
}

function isOf(name: string, node: Node | undefined, ...operands: readonly (Node | undefined)[]): boolean {
  return node !== undefined && operationName(node) === name && operands.every((x, i) => x === node.inputs[i]);
}

/** f(expand x, expand y) = expand f(x, y) of an element-wise f: computes before repeating. */
function pushExpand(node: Node): Node | undefined {
  const source = (x: Node): Node => (x.kind === "expand" ? x.inputs[0] : x);
  const sources = node.inputs.filter((x) => uniformValue(x) === undefined).map(source);
  const shape: Shape = sources[0]?.shape ?? node.shape.map(() => 1);
  if (sameShape(shape, node.shape) || !sources.every((x) => sameShape(x.shape, shape))) return undefined;
  const small = node.inputs.map((x) => {
    const value = uniformValue(x);
    return value === undefined ? source(x) : uniform(value, { dtype: x.dtype, shape });
  });
  return makeNode("expand", [withInputs(node, small)], { shape: node.shape });
}

function simplifyReshape(node: NodeOf<"reshape">): Node | undefined {
  const [x] = node.inputs;
  if (sameShape(x.shape, node.shape)) return x;
  if (x.kind === "reshape") return makeNode("reshape", x.inputs, node.attributes);
  // Asked of repeated values only: of each view of a long chain of views it would take quadratic time.
  const value = x.kind === "expand" ? uniformValue(x) : undefined;
  return value === undefined ? undefined : uniform(value, node);
}

function simplifyPermute(node: NodeOf<"permute">): Node | undefined {
  const [x] = node.inputs;
  const { order } = node.attributes;
  if (x.kind === "permute") {
    return makeNode("permute", x.inputs, { order: order.map((axis) => at(x.attributes.order, axis)) });
  }
  // Axes of size 1 may move freely: if the others keep their order, no element moves.
  const isLarge = (axis: number): boolean => x.shape[axis] !== 1;
  const before = order.map((_, axis) => axis).filter(isLarge);
  return sameShape(order.filter(isLarge), before) ? makeNode("reshape", [x], { shape: node.shape }) : undefined;
}

function simplifyExpand(node: NodeOf<"expand">): Node | undefined {
  const [x] = node.inputs;
  if (sameShape(x.shape, node.shape)) return x;
  return x.kind === "expand" ? makeNode("expand", x.inputs, node.attributes) : undefined;
}

function simplifySlice(node: NodeOf<"slice">): Node | undefined {
  const [x] = node.inputs;
  const { start, size, step } = node.attributes;
  // All elements in steps of 1 leave no other start than 0.
  if (sameShape(x.shape, size) && step.every((stride) => stride === 1)) return x;
  if (x.kind !== "slice") return undefined;
  return makeNode("slice", x.inputs, {
    start: start.map((first, axis) => at(x.attributes.start, axis) + first * at(x.attributes.step, axis)),
    size,
    step: step.map((stride, axis) => stride * at(x.attributes.step, axis)),
  });
}

/** What is known before anything is computed takes no memory that computing again could save. */
function simplifyBarrier(node: NodeOf<"barrier">): Node | undefined {
  const [x, after] = node.inputs;
  if (x.kind === "constant" || x.kind === "iota" || uniformValue(x) !== undefined) return x;
  if (x.kind !== "expand") return undefined;
  return makeNode("expand", [makeNode("barrier", [x.inputs[0], after], {})], x.attributes);
}

function simplifyConcat(node: NodeOf<"concat">): Node | undefined {
  const { axis } = node.attributes;
  const parts = node.inputs.filter((part) => part.shape[axis] !== 0);
  // Of nothing but empty parts any is the result.
  if (parts.length <= 1) return parts[0] ?? node.inputs[0];
  return parts.length === node.inputs.length ? undefined : makeNode("concat", parts, { axis });
}
