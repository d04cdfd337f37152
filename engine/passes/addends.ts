/**
 * Sums of many small reductions, as the gradient of what every block of a network reads. A kernel holds one reduction and could add it to
 * what the one before it stored: they would wait for each other. Where steps that do the same are run as one, each is better stored.
 */
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { viewBase } from "../kernel/views.ts";

/** So many are a chain of kernels, not a reduction with what is added to it. */
const chainLength = 3;
/** Terms in all from which on a reduction is worth a kernel of its own in any case. */
const largeReduction = 2 ** 22;

/**
 * The reductions that are better stored before they are added up.
 * @param order all nodes of a graph, in an order of computation
 * @param uses how many computations and outputs read each value, views of it included
 */
export function addendsOf(order: readonly Node[], uses: ReadonlyMap<Node, number>): ReadonlySet<Node> {
  const addends = new Set<Node>();
  /** By node the small reductions that its kernel would have to hold. */
  const held = new Map<Node, readonly Node[]>();
  for (const node of order) {
    const all = heldBy(node, (input) => ((uses.get(viewBase(input)) ?? 0) > 1 ? [] : (held.get(input) ?? [])));
    const isChain = node.kind === "binary" && node.attributes.op === "add" && all.length >= chainLength;
    if (isChain) for (const addend of all) addends.add(addend);
    else if (all.length > 0) held.set(node, all);
  }
  return addends;
}

function heldBy(node: Node, heldIn: (input: Node) => readonly Node[]): readonly Node[] {
  switch (node.kind) {
    case "reduce":
      return sizeOf(node.inputs[0].shape) < largeReduction ? [node] : [];
    case "matmul": {
      const [x] = node.inputs;
      return sizeOf(node.shape) * at(x.shape, x.shape.length - 1) < largeReduction ? [node] : [];
    }
    case "unary":
    case "binary":
    case "compare":
    case "select":
    case "cast":
    case "reshape":
    case "permute":
      return node.inputs.flatMap(heldIn);
    default:
      return [];
  }
}
