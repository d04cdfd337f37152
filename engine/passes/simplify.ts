/**
 * Simplification and removal of common subexpressions, bottom-up. Every rule keeps values bit for bit, save that
 * arithmetic of literals is done in float64 and rounded once.
 */
import { type Graph, makeNode, rewriteGraph, withInputs } from "../graph/graph.ts";
import type { BinaryOp, Node, NodeOf } from "../graph/node.ts";
import { at, sameShape, sizeOf } from "../graph/shape.ts";
import { isElementwise } from "../graph/shapeRules.ts";
import { neutralElement } from "./neutralElement.ts";
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
    const result = node.kind === "input" ? node : settle(withInputs(node, node.inputs.map(settleTree)));
    settled.add(result);
    return result;
  };
  return rewriteGraph(graph, (node) => {
    const result = settle(node);
    settled.add(result);
    return result;
  });
}

/** The value of a node all of whose elements are one known number, else undefined. */
export function uniformValue(node: Node): number | undefined {
  switch (node.kind) {
    case "literal":
      return node.attributes.value;
    case "expand":
    case "reshape":
      return uniformValue(node.inputs[0]);
    default:
      return undefined;
  }
}

function uniform(value: number, like: Node): Node {
  const scalar = makeNode("literal", [], { dtype: like.dtype, value });
  if (like.shape.length === 0) return scalar;
  const lifted = makeNode("reshape", [scalar], { shape: like.shape.map(() => 1) });
  return makeNode("expand", [lifted], { shape: like.shape });
}

/** Something simpler with the same value, or undefined if no rule applies. */
function simplifyNode(node: Node): Node | undefined {
  return simplifyEmpty(node) ?? simplifyByKind(node);
}

/** What has elements although an input has none: no kernel needs to read an empty buffer then. */
function simplifyEmpty(node: Node): Node | undefined {
  if (sizeOf(node.shape) === 0 || !node.inputs.some((input) => sizeOf(input.shape) === 0)) return undefined;
  switch (node.kind) {
    case "reduce":
      return uniform(neutralElement(node), node);
    case "matmul":
    case "conv":
      return uniform(0, node);
    case "pad":
      return uniform(node.attributes.value, node);
    default:
      return undefined;
  }
}

function simplifyByKind(node: Node): Node | undefined {
  switch (node.kind) {
    case "stopGradient":
      return node.inputs[0];
    case "cast":
      return node.inputs[0].dtype === node.dtype ? node.inputs[0] : pushExpand(node);
    case "unary":
      return simplifyUnary(node) ?? pushExpand(node);
    case "binary":
      return simplifyBinary(node) ?? pushExpand(node);
    case "select":
      return simplifySelect(node) ?? pushExpand(node);
    case "shift":
      return node.attributes.amount === 0 ? node.inputs[0] : pushExpand(node);
    case "compare":
    case "threefry":
      return pushExpand(node);
    case "reduce":
      return node.attributes.axes.every((axis) => node.inputs[0].shape[axis] === 1) ? node.inputs[0] : undefined;
    case "reshape":
      return simplifyReshape(node);
    case "permute":
      return simplifyPermute(node);
    case "expand":
      return simplifyExpand(node);
    case "slice":
      return simplifySlice(node);
    case "pad": {
      const { low, high } = node.attributes;
      return [...low, ...high].every((width) => width === 0) ? node.inputs[0] : undefined;
    }
    case "concat":
      return simplifyConcat(node);
    case "constant":
    case "literal":
    case "input":
    case "iota":
    case "gather":
    case "matmul":
    case "conv":
      return undefined;
  }
}

function simplifyUnary(node: NodeOf<"unary">): Node | undefined {
  const [x] = node.inputs;
  const { op } = node.attributes;
  if (x.kind === "unary" && x.attributes.op === op && (op === "negate" || op === "not")) return x.inputs[0];
  const value = uniformValue(x);
  if (value === undefined || node.dtype !== "f32") return undefined;
  if (op === "negate") return uniform(-value, node);
  if (op === "sqrt") return uniform(Math.sqrt(Math.fround(value)), node);
  return undefined;
}

function foldBinary(op: BinaryOp, x: number, y: number): number | undefined {
  switch (op) {
    case "add":
      return x + y;
    case "subtract":
      return x - y;
    case "multiply":
      return x * y;
    case "divide":
      return x / y;
    default:
      return undefined;
  }
}

function simplifyBinary(node: NodeOf<"binary">): Node | undefined {
  const [x, y] = node.inputs;
  const { op } = node.attributes;
  const [left, right] = [uniformValue(x), uniformValue(y)];
  if (left !== undefined && right !== undefined && node.dtype === "f32") {
    const folded = foldBinary(op, Math.fround(left), Math.fround(right));
    if (folded !== undefined) return uniform(folded, node);
  }
  switch (op) {
    case "add":
      // For f32 only -0 is neutral: -0 + 0 is 0.
      if (node.dtype !== "f32" && left === 0) return y;
      return node.dtype !== "f32" && right === 0 ? x : undefined;
    case "subtract":
      return right === 0 && !Object.is(right, -0) ? x : undefined;
    case "multiply":
      if (left === 1) return y;
      return right === 1 ? x : undefined;
    case "divide":
      return right === 1 ? x : undefined;
    case "power":
      if (right === 1) return x;
      return right === 2 ? makeNode("binary", [x, x], { op: "multiply" }) : undefined;
    case "maximum":
    case "minimum":
    case "and":
    case "or":
      return x === y ? x : undefined;
    case "xor":
      return undefined;
  }
}

function simplifySelect(node: NodeOf<"select">): Node | undefined {
  const [condition, x, y] = node.inputs;
  if (x === y) return x;
  const value = uniformValue(condition);
  return value === undefined ? undefined : value !== 0 ? x : y;
}

/** f(expand x, expand y) = expand f(x, y): computes before repeating. */
function pushExpand(node: Node): Node | undefined {
  if (!isElementwise(node)) return undefined;
  const source = node.inputs.find((input) => input.kind === "expand" && uniformValue(input) === undefined);
  const allExpanded = node.inputs.every((input) => input.kind === "expand");
  const shape = source?.inputs[0]?.shape ?? (allExpanded ? node.shape.map(() => 1) : undefined);
  if (shape === undefined) return undefined;
  const small: Node[] = [];
  for (const input of node.inputs) {
    const value = uniformValue(input);
    if (input.kind === "expand" && sameShape(input.inputs[0].shape, shape)) small.push(input.inputs[0]);
    else if (value !== undefined) small.push(uniform(value, { ...input, shape }));
    else return undefined;
  }
  return makeNode("expand", [withInputs(node, small)], { shape: node.shape });
}

function simplifyReshape(node: NodeOf<"reshape">): Node | undefined {
  const [x] = node.inputs;
  if (sameShape(x.shape, node.shape)) return x;
  if (x.kind === "reshape") return makeNode("reshape", x.inputs, node.attributes);
  const value = uniformValue(x);
  return value !== undefined && x.kind === "expand" ? uniform(value, node) : undefined;
}

function simplifyPermute(node: NodeOf<"permute">): Node | undefined {
  const [x] = node.inputs;
  const { order } = node.attributes;
  if (order.every((axis, i) => axis === i)) return x;
  if (x.kind === "permute") {
    return makeNode("permute", x.inputs, { order: order.map((axis) => at(x.attributes.order, axis)) });
  }
  // Axes of size 1 may move freely: if the others keep their order, no element moves.
  const large = order.filter((axis) => x.shape[axis] !== 1);
  return large.every((axis, i) => i === 0 || axis > at(large, i - 1))
    ? makeNode("reshape", [x], { shape: node.shape })
    : undefined;
}

function simplifyExpand(node: NodeOf<"expand">): Node | undefined {
  const [x] = node.inputs;
  if (sameShape(x.shape, node.shape)) return x;
  return x.kind === "expand" ? makeNode("expand", x.inputs, node.attributes) : undefined;
}

function simplifySlice(node: NodeOf<"slice">): Node | undefined {
  const [x] = node.inputs;
  const { start, size, step } = node.attributes;
  if (sameShape(x.shape, size) && start.every((first) => first === 0) && step.every((stride) => stride === 1)) return x;
  if (x.kind !== "slice") return undefined;
  return makeNode("slice", x.inputs, {
    start: start.map((first, axis) => at(x.attributes.start, axis) + first * at(x.attributes.step, axis)),
    size,
    step: step.map((stride, axis) => stride * at(x.attributes.step, axis)),
  });
}

function simplifyConcat(node: NodeOf<"concat">): Node | undefined {
  const { axis } = node.attributes;
  const parts = node.inputs.filter((part) => part.shape[axis] !== 0);
  if (parts.length === node.inputs.length && parts.length > 1) return undefined;
  const [only] = parts;
  if (only === undefined)
    return node.inputs.length === 1 ? node.inputs[0] : makeNode("concat", node.inputs.slice(0, 1), { axis });
  return parts.length === 1 ? only : makeNode("concat", parts, { axis });
}
