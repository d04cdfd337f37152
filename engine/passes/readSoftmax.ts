/**
 * The gradient of a softmax wants exp(x - max), which is the softmax times its sum. Where the softmax has memory anyway, since a product
 * reads it, the gradient reads that, and its exponentials need not be kept besides.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { type Graph, makeNode, topologicalOrder, withInputs } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { viewBase } from "../kernel/views.ts";
import { type Softmax, softmaxOf } from "./softmax.ts";

/** How far is looked. In a gradient it is three nodes. */
const mostSeen = 16;

export function readSoftmax(graph: Graph, limits: Pick<DeviceLimits, "arithmetic">): Graph {
  if (limits.arithmetic === "scarce") return graph;
  const order = topologicalOrder(graph.outputs);
  const factors = new Set(order.flatMap((node) => (node.kind === "matmul" ? node.inputs.map(viewBase) : [])));
  const softmaxes = new Map<Node, Softmax>();
  for (const node of order) {
    const softmax = node.kind === "binary" && factors.has(node) ? softmaxOf(node) : null;
    if (softmax !== null) softmaxes.set(softmax.exponentials, softmax);
  }
  if (softmaxes.size === 0) return graph;
  const replacement = new Map<Node, Node>();
  const replaced = (node: Node): Node => replacement.get(node) ?? node;
  for (const node of order) {
    const inputs = node.inputs.map((input, i) => {
      const softmax = softmaxes.get(input);
      const other = node.inputs[1 - i];
      const isScaled = node.kind === "binary" && node.attributes.op === "multiply" && other !== undefined;
      if (softmax === undefined || !isScaled || !dependsOn(other, softmax.sum)) return replaced(input);
      return makeNode("binary", [replaced(softmax.quotient), replaced(softmax.sum)], { op: "multiply" });
    });
    replacement.set(node, withInputs(node, inputs));
  }
  return { inputs: graph.inputs, outputs: graph.outputs.map(replaced) };
}

/**
 * Whether a value is seen to depend on another by a look around: if the sum is no number, what is scaled by such a value isn't one either,
 * whichever way it is computed.
 */
function dependsOn(value: Node, wanted: Node): boolean {
  // Grows while it is walked.
  const seen = new Set([value]);
  for (const node of seen) {
    if (node === wanted) return true;
    if (seen.size < mostSeen) for (const input of node.inputs) seen.add(input);
  }
  return false;
}
