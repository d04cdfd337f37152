import { shapeRules } from "./shapeRules.ts";
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

/** The same primitive on other inputs. */
export function withInputs(node: Node, inputs: readonly Node[]): Node {
  if (inputs.every((input, i) => input === node.inputs[i])) return node;
  // The kind, its inputs and attributes come from one node, so they fit; TypeScript can't follow that correlation.
  return makeNode(node.kind, inputs as never, node.attributes as never) as Node;
}

/** Every node that the outputs need, inputs before users. Iterative: graphs are deeper than the call stack. */
export function topologicalOrder(outputs: readonly Node[]): Node[] {
  const order: Node[] = [];
  const done = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  const push = (node: Node): void => {
    if (done.has(node)) return;
    done.add(node);
    stack.push({ node, next: 0 });
  };
  for (const output of outputs) {
    push(output);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const input = top.node.inputs[top.next++];
      if (input !== undefined) push(input);
      else {
        order.push(top.node);
        stack.pop();
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
