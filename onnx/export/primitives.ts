/** What each primitive of the engine is in ONNX: one table, and the walk over a graph that uses it. */
import { EvenkeelError, messageOf } from "../../engine/index.ts";
import { topologicalOrder } from "../../engine/graph/graph.ts";
import { loopCallKey, loopCallsOf } from "../../engine/graph/loops.ts";
import { neutralElement } from "../../engine/graph/neutralElement.ts";
import type { Node, NodeOf, PrimitiveKind } from "../../engine/graph/node.ts";
import { sizeOf } from "../../engine/graph/shape.ts";
import { binary, cast, compare, select, unary } from "./elementwise.ts";
import { type GraphWriter, typeOf } from "./graphWriter.ts";
import { gather, scatter } from "./indexing.ts";
import { shift, threefry } from "./integers.ts";
import { writeLoop } from "./loops.ts";
import { concat, constant, expand, iota, literal, pad, permute, reshape, slice } from "./movement.ts";
import { conv, matmul } from "./products.ts";
import { reduce } from "./reductions.ts";
import { nameOf } from "./sizes.ts";

/** Writes a node and gives the name of its value. */
type WriteNode<K extends PrimitiveKind> = (w: GraphWriter, node: NodeOf<K>) => string;

const same = (w: GraphWriter, node: Node): string => {
  const [x] = node.inputs;
  if (x === undefined) throw new Error(`${node.kind} has no input`);
  return w.value(x);
};

const table: { readonly [K in Exclude<PrimitiveKind, "loop">]: WriteNode<K> } = {
  constant,
  literal,
  input: (w, node) => w.value(node),
  iota,
  unary,
  binary,
  compare,
  select,
  cast,
  shift,
  threefry,
  reduce,
  reshape,
  permute,
  expand,
  slice,
  pad,
  concat,
  gather,
  scatter,
  matmul,
  conv,
  // Derivatives are in the graph already; what is checked is an output of its own; and runtimes order their work themselves.
  stopGradient: same,
  check: same,
  barrier: same,
  ruled: same,
};

/** Writes all nodes that outputs need, save those that are there. */
export function writeNodes(w: GraphWriter, outputs: readonly Node[]): void {
  const order = topologicalOrder(outputs);
  const calls = new Map(loopCallsOf(order).map((call) => [loopCallKey(call.results[0] as NodeOf<"loop">), call]));
  for (const node of order) {
    if (w.find(node) !== undefined || w.context.initializers.has(node)) continue;
    try {
      writeNode(w, node, calls);
    } catch (cause) {
      if (!(cause instanceof EvenkeelError) || cause.message.startsWith("exportOnnx: ")) throw cause;
      throw new EvenkeelError(cause.code, `exportOnnx: ${nameOf(node)}: ${messageOf(cause)}`, { cause });
    }
  }
}

function writeNode(
  w: GraphWriter,
  node: Node,
  calls: ReadonlyMap<string, ReturnType<typeof loopCallsOf>[number]>,
): void {
  const known = valueOfNothing(w, node);
  if (known !== undefined) {
    w.setValue(node, known);
    return;
  }
  if (node.kind === "loop") {
    const call = calls.get(loopCallKey(node));
    if (call === undefined) throw new Error(`${nameOf(node)} is of no call`);
    writeLoop(w, call, writeNodes);
    return;
  }
  // The entry of a node's own kind fits the node, which TypeScript can't correlate over the union.
  const write = table[node.kind] as WriteNode<PrimitiveKind>;
  w.setValue(node, write(w, node));
}

/** What has no elements, or is folded of none: runtimes differ in what they make of such arrays, so that they are not asked. */
function valueOfNothing(w: GraphWriter, node: Node): string | undefined {
  if (node.kind === "input") return undefined;
  if (sizeOf(node.shape) === 0) return w.constant(typeOf(node.dtype), node.shape, []);
  if (!node.inputs.some(({ shape }) => sizeOf(shape) === 0)) return undefined;
  const filled = (value: number): string => w.filled(node.dtype, w.shape(node), value);
  switch (node.kind) {
    case "reduce":
    case "scatter":
      return filled(neutralElement(node.attributes.op, node.dtype));
    case "pad":
      return filled(node.attributes.value);
    case "matmul":
    case "conv":
      return filled(0);
    case "constant":
    case "literal":
    case "iota":
    case "unary":
    case "binary":
    case "compare":
    case "select":
    case "cast":
    case "shift":
    case "threefry":
    case "reshape":
    case "permute":
    case "expand":
    case "slice":
    case "concat":
    case "gather":
    case "stopGradient":
    case "check":
    case "barrier":
    case "ruled":
    case "loop":
      return undefined;
  }
}
