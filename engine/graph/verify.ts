import type { Graph } from "./graph.ts";
import { topologicalOrder } from "./graph.ts";
import type { Node, PrimitiveKind } from "./node.ts";
import { formatShape, sameShape } from "./shape.ts";
import { type ShapeRule, shapeRules } from "./shapeRules.ts";

/**
 * Checks a rewritten graph: every node obeys its shape rule, no input was invented, and the outputs are what they were.
 * A wrong pass fails here rather than as a wrong number later.
 * @param verified nodes that were checked with the same inputs before: they can't have changed. Those of this graph become some of them.
 * @throws Error naming pass and node.
 */
export function verifyGraph(pass: string, before: Graph, after: Graph, verified = new Set<Node>()): void {
  const inputs = new Set<unknown>(after.inputs);
  for (const node of topologicalOrder(after.outputs, verified)) {
    const fail = (why: string): never => {
      throw new Error(`pass ${pass}: node ${node.id} (${node.kind} ${node.dtype} ${formatShape(node.shape)}): ${why}`);
    };
    if (node.kind === "input" && !inputs.has(node)) fail("is not an input of the graph");
    const rule = shapeRules[node.kind] as ShapeRule<PrimitiveKind>;
    const { shape, dtype } = rule(node.inputs, node.attributes);
    if (!sameShape(shape, node.shape) || dtype !== node.dtype) fail(`the rule gives ${dtype} ${formatShape(shape)}`);
  }
  const described = (graph: Graph): string =>
    graph.outputs.map((output) => `${output.dtype}${formatShape(output.shape)}`).join(" ");
  if (described(before) !== described(after)) {
    throw new Error(`pass ${pass}: outputs were ${described(before)}, are ${described(after)}`);
  }
}
