/** Which inputs of a model decide about shapes, or how often something is done: they must be known when a program is built. */
import type { OnnxGraph, OnnxNode } from "../format/model.ts";
import { findOperator } from "../operators/index.ts";
import type { Operator } from "./operator.ts";

/** By the name of a value, those of the values that its elements are made of. Names are the same in graphs within nodes. */
type Sources = Map<string, readonly string[]>;

/** The names of all values that decide about shapes, among them inputs and initializers. */
export function structuralValues(graph: OnnxGraph, opsets: ReadonlyMap<string, number>): ReadonlySet<string> {
  const sources: Sources = new Map();
  const pending: string[] = [];
  collect(graph, opsets, sources, pending);
  const found = new Set<string>();
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === "" || found.has(name)) continue;
    found.add(name);
    for (const source of sources.get(name) ?? []) if (!found.has(source)) pending.push(source);
  }
  return found;
}

/** Adds what a graph's values are made of, and those of its values that decide about shapes by themselves. */
function collect(graph: OnnxGraph, opsets: ReadonlyMap<string, number>, sources: Sources, deciding: string[]): void {
  for (const node of graph.nodes) {
    const operator = findOperator(node, opsets);
    const graphs = graphsOf(node);
    // What a graph within a node is given are inputs of the node, in one order or another.
    for (const inner of graphs) {
      for (const { name } of inner.inputs) sources.set(name, node.inputs);
      collect(inner, opsets, sources, deciding);
    }
    const within = graphs.flatMap(({ outputs }) => outputs.map(({ name }) => name));
    const own = operator?.readsShapes === true ? [] : [...node.inputs, ...within];
    for (const output of node.outputs) sources.set(output, own);
    if (operator !== undefined) deciding.push(...decidingInputs(node, operator));
    // The condition of a loop is what its body says, step by step.
    if (node.operator === "Loop") for (const { outputs } of graphs) deciding.push(outputs[0]?.name ?? "");
  }
}

const decidingInputs = ({ inputs }: OnnxNode, { numbers }: Operator): string[] =>
  numbers.flatMap((i) => inputs.slice(i, i + 1));

export function graphsOf(node: OnnxNode): OnnxGraph[] {
  return [...node.attributes.values()].flatMap((attribute) => (attribute.kind === "graph" ? [attribute.value] : []));
}
