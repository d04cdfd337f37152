/**
 * What a product reads of a softmax are its exponentials, where arithmetic is scarce: what they are divided by is the same along a whole row,
 * so the product's result is divided, or its other factor, whichever has those rows. Then the softmax, the largest array of attention beside the
 * exponentials, isn't made.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { type Graph, makeNode, topologicalOrder, withInputs } from "../graph/graph.ts";
import type { Node, NodeOf } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { readInputs, viewBase } from "../kernel/views.ts";
import { type Softmax, softmaxOf } from "./softmax.ts";

type Product = NodeOf<"matmul">;

/** Where a factor's elements are divided by the same number: along its axis 0, 1 or 2. */
type Use = { readonly product: Product; readonly side: 0 | 1; readonly along: number; readonly softmax: Softmax };

export function divideLast(graph: Graph, limits: Pick<DeviceLimits, "arithmetic">): Graph {
  if (limits.arithmetic !== "scarce") return graph;
  const order = topologicalOrder(graph.outputs);
  const uses = usesOf(order, new Set(graph.outputs));
  if (uses.size === 0) return graph;
  const replacement = new Map<Node, Node>();
  const replaced = (node: Node): Node => replacement.get(node) ?? node;
  for (const node of order) {
    const use = node.kind === "matmul" ? uses.get(node) : undefined;
    const inputs = node.inputs.map(replaced);
    replacement.set(node, use === undefined ? withInputs(node, inputs) : divided(use, inputs, replaced));
  }
  return { inputs: graph.inputs, outputs: graph.outputs.map(replaced) };
}

/** The products to change: all that read a softmax, if nothing else does and less is divided then. */
function usesOf(order: readonly Node[], outputs: ReadonlySet<Node>): ReadonlyMap<Product, Use> {
  const uses = new Map<Product, Use>();
  const readers = readersOf(order);
  for (const node of order) {
    const softmax = node.kind === "binary" ? softmaxOf(node) : null;
    if (softmax === null) continue;
    const found = productsOf(softmax, readers, outputs);
    if (found === null || found.some(({ product }) => uses.has(product))) continue;
    // A product's result is divided on its way to memory.
    const made = found.map(({ product, side, along }) =>
      along === rowsOf(side) ? sizeOf(otherOf(product, side).shape) : 0,
    );
    if (made.reduce((sum, size) => sum + size, 0) > sizeOf(node.shape)) continue;
    for (const use of found) uses.set(use.product, use);
  }
  return uses;
}

/** The axis of a factor that its product has, too: [M, K] times [K, N] is [M, N]. */
const rowsOf = (side: 0 | 1): number => (side === 0 ? 1 : 2);

const otherOf = ({ inputs }: Product, side: 0 | 1): Node => at(inputs, 1 - side);

function readersOf(order: readonly Node[]): ReadonlyMap<Node, readonly Node[]> {
  const readers = new Map<Node, Node[]>();
  for (const node of order) {
    for (const input of readInputs(node)) {
      const known = readers.get(input);
      if (known === undefined) readers.set(input, [node]);
      else known.push(node);
    }
  }
  return readers;
}

/** The products that read a softmax, each once; null if more than one other node does, for which it would be kept, or if its rows are cut up. */
function productsOf(
  softmax: Softmax,
  readers: ReadonlyMap<Node, readonly Node[]>,
  outputs: ReadonlySet<Node>,
): readonly Use[] | null {
  const uses: Use[] = [];
  let others = 0;
  const visit = (node: Node, along: number): boolean => {
    if (outputs.has(node)) return false;
    return (readers.get(node) ?? []).every((reader) => {
      if (reader.kind === "matmul") {
        const side = reader.inputs[0] === node ? 0 : 1;
        if (otherOf(reader, side) === node || along === 0 || uses.some(({ product }) => product === reader))
          return false;
        uses.push({ product: reader, side, along, softmax });
        return true;
      }
      const moved = axisThrough(reader, along);
      return moved === null ? ++others < 2 : visit(reader, moved);
    });
  };
  // The sum is repeated along what it was made over.
  const total = viewBase(softmax.sum);
  const along = softmax.sum.kind === "expand" && total.kind === "reduce" ? total.attributes.axes : [];
  const [axis] = along;
  return axis !== undefined && along.length === 1 && visit(softmax.quotient, axis) && uses.length > 0 ? uses : null;
}

/** Where an axis of a view's input is in the view; null if it is none, or cut up. */
function axisThrough(view: Node, axis: number): number | null {
  const size = at(at(view.inputs, 0).shape, axis);
  switch (view.kind) {
    case "permute":
      return view.attributes.order.indexOf(axis);
    case "reshape": {
      const inside = sizeOf(at(view.inputs, 0).shape.slice(axis + 1));
      const found = view.shape.findIndex(
        (other, index) => other === size && sizeOf(view.shape.slice(index + 1)) === inside,
      );
      return found < 0 ? null : found;
    }
    default:
      return null;
  }
}

/** The product of exponentials, divided where rows of the softmax are rows of it; else with its other factor divided. */
function divided(
  { product, side, along, softmax }: Use,
  inputs: readonly Node[],
  replaced: (node: Node) => Node,
): Node {
  const through = (base: Node): Node => viewedAs(at(product.inputs, side), softmax.quotient, base);
  const exponentials = through(replaced(softmax.exponentials));
  // [B, M, K] or [B, K, N], with one element along the axis along which all are the same.
  const sums = firstAlong(through(replaced(softmax.sum)), along);
  const quotient = (x: Node, by: Node): Node =>
    makeNode("binary", [x, makeNode("expand", [by], { shape: x.shape })], { op: "divide" });
  const multiplied = (other: Node): Node =>
    makeNode("matmul", side === 0 ? [exponentials, other] : [other, exponentials], {});
  const other = at(inputs, 1 - side);
  if (along !== rowsOf(side)) return quotient(multiplied(other), sums);
  return multiplied(quotient(other, makeNode("permute", [sums], { order: [0, 2, 1] })));
}

/** What a view is of `base` in place of `old`. */
function viewedAs(view: Node, old: Node, base: Node): Node {
  return view === old ? base : withInputs(view, [viewedAs(at(view.inputs, 0), old, base)]);
}

function firstAlong(node: Node, axis: number): Node {
  const size = node.shape.map((whole, index) => (index === axis ? 1 : whole));
  return makeNode("slice", [node], { start: size.map(() => 0), size, step: size.map(() => 1) });
}
