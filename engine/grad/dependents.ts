import type { Node } from "../graph/node.ts";

/** The inputs through which a derivative of a node may pass. */
export function differentiatedInputs(node: Node): readonly Node[] {
  switch (node.kind) {
    case "stopGradient":
      return [];
    case "barrier":
      return [node.inputs[0]];
    case "ruled":
      return node.attributes.rule.kind === "surrogate" ? node.inputs.slice(1) : node.inputs;
    default:
      return node.inputs;
  }
}

/** The nodes of an order of computation that depend on sources in a way that derivatives may follow, these included. */
export function dependents(order: readonly Node[], sources: ReadonlySet<Node>): Set<Node> {
  const dependent = new Set(sources);
  for (const node of order) {
    if (differentiatedInputs(node).some((input) => dependent.has(input))) dependent.add(node);
  }
  return dependent;
}
