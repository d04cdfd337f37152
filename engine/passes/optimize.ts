import type { DeviceLimits } from "../devices/device.ts";
import type { Graph } from "../graph/graph.ts";
import { atOnce } from "../devices/eventLoop.ts";
import type { Node } from "../graph/node.ts";
import { verifyGraph } from "../graph/verify.ts";
import { divideLast } from "./divideLast.ts";
import { lowerConvolutions } from "./lowerConvolutions.ts";
import { readSoftmax } from "./readSoftmax.ts";
import { simplify } from "./simplify.ts";
import { splitConcats } from "./splitConcats.ts";
import { splitReductions } from "./splitReductions.ts";

export type Pass = { readonly name: string; readonly run: (graph: Graph, limits: DeviceLimits) => Graph };

/** Parts of one `concat` kernel at most. */
const concatParts = 6;

/** What happens to a graph before it is cut into kernels, in this order. */
export const passes: readonly Pass[] = [
  { name: "simplify", run: (graph) => simplify(graph) },
  { name: "readSoftmax", run: (graph, limits) => readSoftmax(graph, limits) },
  { name: "divideLast", run: (graph, limits) => divideLast(graph, limits) },
  { name: "lowerConvolutions", run: (graph) => lowerConvolutions(graph) },
  { name: "splitReductions", run: (graph) => splitReductions(graph) },
  { name: "splitConcats", run: (graph, limits) => splitConcats(graph, Math.min(concatParts, limits.operands)) },
  { name: "simplifyAgain", run: (graph) => simplify(graph) },
];

/** Runs all passes, each result verified. `observe` sees the graph after each. */
export function optimize(graph: Graph, limits: DeviceLimits, observe?: (pass: string, after: Graph) => void): Graph {
  return atOnce(optimizing(graph, limits, observe));
}

/** The same, with pauses. */
export function* optimizing(
  graph: Graph,
  limits: DeviceLimits,
  observe?: (pass: string, after: Graph) => void,
): Generator<void, Graph> {
  let before = graph;
  let verified = new Set<Node>();
  for (const { name, run } of passes) {
    const after = run(before, limits);
    yield;
    if (after.inputs !== before.inputs) verified = new Set();
    verifyGraph(name, before, after, verified);
    observe?.(name, after);
    before = after;
    yield;
  }
  return before;
}
