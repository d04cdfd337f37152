import { type Graph, makeNode, rewriteGraph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";

/** Joins long lists in stages of at most `parts`, so that one kernel reads few arrays and cuts its loops in few places. */
export function splitConcats(graph: Graph, parts: number): Graph {
  const join = (nodes: readonly Node[], axis: number): Node => {
    if (nodes.length <= parts) return makeNode("concat", nodes, { axis });
    const groups: Node[] = [];
    for (let start = 0; start < nodes.length; start += parts) {
      groups.push(makeNode("concat", nodes.slice(start, start + parts), { axis }));
    }
    return join(groups, axis);
  };
  return rewriteGraph(graph, (node) =>
    node.kind === "concat" && node.inputs.length > parts ? join(node.inputs, node.attributes.axis) : node,
  );
}
