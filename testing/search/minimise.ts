/** The smallest graph that still fails. */
import { evaluateNodes } from "../../engine/devices/oracle/evaluate.ts";
import { EvenkeelError } from "../../engine/errors.ts";
import { allocateData, type DType, type TensorData } from "../../engine/graph/dtype.ts";
import { type Graph, makeNode, topologicalOrder, withInputs } from "../../engine/graph/graph.ts";
import type { Node, NodeOf } from "../../engine/graph/node.ts";
import { at, sameShape } from "../../engine/graph/shape.ts";
import type { GraphCase } from "../graphCase.ts";
import { resized } from "./resize.ts";

/** How long `minimise` goes on. */
export type MinimiseOptions = {
  /** Graphs that are tried at most. Default 2,000. */
  readonly attempts?: number;
};

/**
 * Makes a graph that fails smaller as long as it fails: fewer results, values given as inputs instead of computed, nodes left out, shorter
 * axes, simpler elements. It ends when none of these steps is left, with a graph from which nothing can be taken by one of them.
 * @param fails whether a graph shows what is looked for; asked about the given one first. What it throws ends the search.
 * @returns the smallest graph found, with its inputs; `programSource` prints it as a program
 * @throws EvenkeelError `value` if the given graph doesn't fail
 * @example
 * ```ts
 * import { maximum, tensor, type Tensor } from "evenkeel/engine";
 *
 * const program = await graphCase((x: Tensor) => maximum(x.add(1), 0).multiply(2), tensor([-3, 5]));
 * const { graph } = await minimise(program, ({ graph: smaller }) => printGraph(smaller).includes("maximum"));
 * console.log(printGraph(graph).split("\n").at(-2)); // %2 f32 [1] = maximum %0 %1
 * ```
 */
export async function minimise(
  given: GraphCase,
  fails: (smaller: GraphCase) => boolean | Promise<boolean>,
  { attempts = 2000 }: MinimiseOptions = {},
): Promise<GraphCase> {
  if (!(await fails(given))) {
    throw new EvenkeelError(
      "value",
      "minimise: the graph that was given doesn't fail. Give one that does, with the inputs for which it does.",
    );
  }
  let smallest = given;
  let left = attempts;
  // Each kind of step from the start again after one that was taken: what it makes possible may be larger than what is left of its own kind.
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const steps of kindsOfSteps()) {
      for (let taken = true; taken; ) {
        taken = false;
        for (const candidate of steps(smallest)) {
          if (left-- <= 0) return smallest;
          if (!(await fails(candidate))) continue;
          [smallest, taken, isSmaller] = [candidate, true, true];
          break;
        }
      }
    }
  }
  return smallest;
}

type Steps = (from: GraphCase) => Generator<GraphCase>;

const isGiven = ({ kind }: Node): boolean => kind === "input" || kind === "constant" || kind === "literal";

/** The graph without the inputs that nothing needs. */
function pruned({ graph, inputs }: GraphCase): GraphCase {
  const needed = new Set(topologicalOrder(graph.outputs));
  const kept = graph.inputs.flatMap((input, i) => (needed.has(input) ? [i] : []));
  return {
    graph: { inputs: kept.map((i) => at(graph.inputs, i)), outputs: graph.outputs },
    inputs: kept.map((i) => at(inputs, i)),
  };
}

/** The steps of each kind, in the order in which they are tried. */
const kindsOfSteps = (): readonly Steps[] => [
  fewerInputs,
  singleResults,
  fewerResults,
  cuts,
  bypasses,
  shorterAxes,
  simplerElements,
  simplerLiterals,
];

/** Without the inputs that nothing needs. */
function* fewerInputs(from: GraphCase): Generator<GraphCase> {
  const candidate = pruned(from);
  if (candidate.inputs.length < from.inputs.length) yield candidate;
}

/** One result: any node, those that are computed first before the others. */
function* singleResults({ graph, inputs }: GraphCase): Generator<GraphCase> {
  const order = topologicalOrder(graph.outputs);
  for (const node of order) {
    if (isGiven(node) || (graph.outputs.length === 1 && node === graph.outputs[0])) continue;
    yield pruned({ graph: { inputs: graph.inputs, outputs: [node] }, inputs });
  }
}

/** One result less. */
function* fewerResults({ graph, inputs }: GraphCase): Generator<GraphCase> {
  if (graph.outputs.length < 2) return;
  for (const [without] of graph.outputs.entries()) {
    const outputs = graph.outputs.filter((_, i) => i !== without);
    yield pruned({ graph: { inputs: graph.inputs, outputs }, inputs });
  }
}

/** A node that is computed becomes an input that holds its value; those nearest to the results first, as they take most away. */
function* cuts({ graph, inputs }: GraphCase): Generator<GraphCase> {
  const values = evaluateNodes(
    graph,
    inputs.map((data) => Float64Array.from(data)),
  );
  for (const node of topologicalOrder(graph.outputs).reverse()) {
    if (isGiven(node) || graph.outputs.includes(node)) continue;
    const { dtype, shape, id } = node;
    const input = makeNode("input", [], { dtype, shape, name: `value${id}` });
    const data = allocateData(dtype, values.get(node)?.length ?? 0);
    data.set(values.get(node) ?? []);
    yield pruned({ graph: replaced(graph, node, input, [...graph.inputs, input]), inputs: [...inputs, data] });
  }
}

/** A node is left out: one of its own inputs of the same kind takes its place. */
function* bypasses({ graph, inputs }: GraphCase): Generator<GraphCase> {
  for (const node of topologicalOrder(graph.outputs)) {
    for (const input of node.inputs) {
      if (input.dtype !== node.dtype || !sameShape(input.shape, node.shape)) continue;
      yield pruned({ graph: replaced(graph, node, input, graph.inputs), inputs });
    }
  }
}

/** Axes of one size become shorter, all at once. */
function* shorterAxes(from: GraphCase): Generator<GraphCase> {
  const { graph } = from;
  const made = [...graph.inputs, ...topologicalOrder(graph.outputs)];
  const present = [...new Set(made.flatMap(({ shape }) => shape))].filter((size) => size > 1).sort((a, b) => b - a);
  for (const size of present) {
    for (const to of new Set([1, Math.ceil(size / 2), size - 1])) {
      for (const kept of ["first", "last"] as const) {
        const candidate = resized(from, size, to, kept);
        if (candidate !== undefined) yield candidate;
      }
    }
  }
}

/** Elements beyond this are made simpler all at once only. */
const fewElements = 64;

/** Inputs of simpler elements: all of them, then one by one. */
function* simplerElements({ graph, inputs }: GraphCase): Generator<GraphCase> {
  for (const [i, data] of inputs.entries()) {
    const { dtype } = at(graph.inputs, i);
    const withData = (changed: TensorData): GraphCase => ({ graph, inputs: inputs.with(i, changed) });
    for (const simple of simplerThan(dtype)) {
      const changed = data.map((value) => simple(value) ?? value);
      if (!sameElements(changed, data)) yield withData(changed);
    }
    // Equal elements stay so: which of an axis are taken doesn't matter any more.
    if (data.length > fewElements || data.every((value) => Object.is(value, data[0]))) continue;
    for (const value of new Set(data)) yield withData(data.map(() => value));
    for (const [place, value] of data.entries()) {
      for (const simple of simplerThan(dtype)) {
        const other = simple(value);
        if (other === undefined) continue;
        const changed = data.slice();
        changed[place] = other;
        if (!sameElements(changed, data)) yield withData(changed);
      }
    }
  }
}

/** Simpler numbers that the graph itself holds. */
function* simplerLiterals({ graph, inputs }: GraphCase): Generator<GraphCase> {
  for (const node of topologicalOrder(graph.outputs)) {
    if (node.kind !== "literal") continue;
    const { dtype } = node;
    for (const simple of simplerThan(dtype)) {
      const value = simple(node.attributes.value);
      if (value === undefined) continue;
      yield { graph: replaced(graph, node, makeNode("literal", [], { dtype, value }), graph.inputs), inputs };
    }
  }
}

/** Simpler numbers in place of one, from the simplest on; undefined if it is as simple. */
const simplerNumbers: readonly ((value: number) => number | undefined)[] = [
  (value) => (Object.is(value, 0) ? undefined : 0),
  (value) => (value === 1 || Object.is(value, 0) ? undefined : 1),
  (value) => (Math.abs(value) === 1 || Object.is(value, 0) ? undefined : -1),
  (value) => {
    const rounded = Math.round(value);
    return Number.isInteger(value) || !Number.isFinite(value) || Math.abs(rounded) < 2 ? undefined : rounded;
  },
];

/** Of these, those that a dtype has. */
function simplerThan(dtype: DType): typeof simplerNumbers {
  switch (dtype) {
    case "f32":
    case "i32":
      return simplerNumbers;
    case "u32":
      return simplerNumbers.slice(0, 2);
    case "bool":
      return simplerNumbers.slice(0, 1);
  }
}

const sameElements = (a: TensorData, b: TensorData): boolean => a.every((value, i) => Object.is(value, b[i]));

/** The graph with another node in place of one: a new input, or what is computed before it. */
function replaced(graph: Graph, node: Node, by: Node, inputs: readonly NodeOf<"input">[]): Graph {
  const made = new Map<Node, Node>();
  const ofNode = (each: Node): Node => made.get(each) ?? each;
  for (const each of topologicalOrder(graph.outputs)) {
    made.set(each, each === node ? ofNode(by) : withInputs(each, each.inputs.map(ofNode)));
  }
  return { inputs, outputs: graph.outputs.map(ofNode) };
}
