import { shapeRules } from "./shapeRules.ts";
import { at } from "./shape.ts";
import type { Node, NodeOf, PrimitiveKind, Primitives } from "./node.ts";

/** A program: what goes in, in the order of its arguments, and what comes out. */
export type Graph = { readonly inputs: readonly NodeOf<"input">[]; readonly outputs: readonly Node[] };

let nextId = 0;

/** Makes a node; shape and dtype follow from the shape rule. @throws EvenkeelError if the inputs don't fit the primitive. */
export function makeNode<K extends PrimitiveKind>(
  kind: K,
  inputs: Primitives[K]["inputs"],
  attributes: Primitives[K]["attributes"],
): NodeOf<K> {
  const { shape, dtype } = shapeRules[kind](inputs, attributes);
  return { id: nextId++, kind, inputs, attributes, shape, dtype };
}

/** The number that the next node is going to have: those made between two calls have numbers from the first to before the second. */
export function nextNodeId(): number {
  return nextId;
}

/** The same primitive on other inputs. */
export function withInputs(node: Node, inputs: readonly Node[]): Node {
  if (inputs.every((input, i) => input === node.inputs[i])) return node;
  // The kind, its inputs and attributes come from one node, so they fit; TypeScript can't follow that correlation.
  return makeNode(node.kind, inputs as never, node.attributes as never) as Node;
}

/**
 * Every node that the outputs need, inputs before users. Iterative: graphs are deeper than the call stack.
 * @param done nodes that are left out, with what only they need; those that are found become some of them
 */
export function topologicalOrder(outputs: readonly Node[], done = new Set<Node>()): Node[] {
  const order: Node[] = [];
  // Of each node on the way down the inputs that were gone to.
  const nodes: Node[] = [];
  const counts: number[] = [];
  const push = (node: Node): void => {
    if (done.has(node)) return;
    done.add(node);
    nodes.push(node);
    counts.push(0);
  };
  for (const output of outputs) {
    push(output);
    for (let top = nodes.length - 1; top >= 0; top = nodes.length - 1) {
      const node = at(nodes, top);
      const next = at(counts, top);
      const input = node.inputs[next];
      counts[top] = next + 1;
      if (input !== undefined) push(input);
      else {
        order.push(node);
        nodes.pop();
        counts.pop();
      }
    }
  }
  return order;
}

/** How often each node is used: by other nodes and as an output. */
export function countUses(graph: Graph): Map<Node, number> {
  const uses = new Map<Node, number>();
  const count = (node: Node): void => void uses.set(node, (uses.get(node) ?? 0) + 1);
  for (const node of topologicalOrder(graph.outputs)) node.inputs.forEach(count);
  graph.outputs.forEach(count);
  return uses;
}

/**
 * Rebuilds a graph from its inputs up. `rule` gets each node with its new inputs in place and returns its replacement.
 * Inputs of the graph stay as they are.
 */
export function rewriteGraph(graph: Graph, rule: (node: Node) => Node): Graph {
  const replacement = new Map<Node, Node>();
  const replaced = (node: Node): Node => {
    const to = replacement.get(node);
    if (to === undefined) throw new Error(`node ${node.id} visited before its inputs`);
    return to;
  };
  for (const node of topologicalOrder(graph.outputs)) {
    replacement.set(node, node.kind === "input" ? node : rule(withInputs(node, node.inputs.map(replaced))));
  }
  return { inputs: graph.inputs, outputs: graph.outputs.map(replaced) };
}
