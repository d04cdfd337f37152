/** Loops of a graph: what belongs together, and their bodies as graphs. */
import { topologicalOrder, withInputs } from "./graph.ts";
import type { Loop, Node, NodeOf } from "./node.ts";
import { at } from "./shape.ts";

/** One run of a loop, of which a graph has one node for each result that is asked for. */
export type LoopCall = {
  readonly loop: Loop;
  readonly inputs: readonly Node[];
  /** In the order of computation. */
  readonly results: readonly NodeOf<"loop">[];
};

let loops = 0;

/** A number for a loop. */
export function newLoopId(): number {
  return loops++;
}

/** The calls of loops among the nodes of an order of computation. */
export function loopCallsOf(order: readonly Node[]): LoopCall[] {
  const calls = new Map<string, NodeOf<"loop">[]>();
  for (const node of order) {
    if (node.kind !== "loop") continue;
    const key = loopCallKey(node);
    const known = calls.get(key);
    if (known === undefined) calls.set(key, [node]);
    else known.push(node);
  }
  return [...calls.values()].map((results) => {
    const { attributes, inputs } = at(results, 0);
    return { loop: attributes.loop, inputs, results };
  });
}

/** Equal for the results of one call. */
export function loopCallKey({ attributes: { loop }, inputs }: NodeOf<"loop">): string {
  return `${loop.id} ${inputs.map(({ id }) => id).join()}`;
}

/** Nodes of a graph on other inputs: those that `replaced` names stand for its own, others stay. */
export function onInputs(outputs: readonly Node[], replaced: ReadonlyMap<Node, Node>): Node[] {
  const copies = new Map<Node, Node>(replaced);
  const copyOf = (node: Node): Node => copies.get(node) ?? node;
  for (const node of topologicalOrder(outputs, new Set(replaced.keys()))) {
    copies.set(node, withInputs(node, node.inputs.map(copyOf)));
  }
  return outputs.map(copyOf);
}
