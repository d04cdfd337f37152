/** A graph with loops as graphs without, to be run one after the other with the loops in between. */
import { type Graph, makeNode, rewriteGraph, topologicalOrder } from "../graph/graph.ts";
import { type LoopCall, loopCallsOf, onInputs } from "../graph/loops.ts";
import type { Node, NodeOf } from "../graph/node.ts";
import { at } from "../graph/shape.ts";

/** An array that a program has between two of its parts: an input of the program, or one of its own by number. */
export type Slot = { readonly kind: "input" | "own"; readonly index: number };

/** A graph between loops. Its inputs are those of the program, then what `given` says. */
export type Part = { readonly graph: Graph; readonly given: readonly Slot[] };

export type SplitPart =
  | (Part & { readonly kind: "graph"; readonly results: readonly Slot[] })
  | {
      readonly kind: "loop";
      readonly call: LoopCall;
      readonly given: readonly Slot[];
      readonly results: readonly Slot[];
    };

/** Parts in the order in which they are run. The last one gives the outputs of the program. */
export type Split = {
  readonly parts: readonly SplitPart[];
  readonly last: Part;
  /** The nodes whose values lie in the program's own arrays. */
  readonly own: readonly Node[];
};

/** @returns null if there is no loop */
export function splitAtLoops(whole: Graph): Split | null {
  if (topologicalOrder(whole.outputs).every(({ kind }) => kind !== "loop")) return null;
  const { graph, levelOf } = levelled(whole);
  const order = topologicalOrder(graph.outputs);
  const highest = Math.max(...graph.outputs.map((output) => levelOf(output) + Number(output.kind === "loop")));
  const own: Node[] = [];
  const slots = new Map<Node, Slot>(graph.inputs.map((input, index) => [input, { kind: "input", index }]));
  const keep = (node: Node): void => {
    if (!slots.has(node)) slots.set(node, { kind: "own", index: own.push(node) - 1 });
  };
  for (const node of order) {
    for (const input of node.inputs) {
      const isLater = levelOf(input) < levelOf(node) && !isKnown(input);
      if (input.kind === "loop" || node.kind === "loop" || isLater) keep(input);
    }
  }
  for (const output of graph.outputs) {
    if (output.kind === "loop" || (levelOf(output) < highest && !isKnown(output))) keep(output);
  }
  for (const { results } of loopCallsOf(order)) results.forEach(keep);
  const slotOf = (node: Node): Slot => {
    const slot = slots.get(node);
    if (slot === undefined) throw new Error(`${node.kind} ${node.id} is in no array`);
    return slot;
  };
  const partOf = (outputs: readonly Node[], level: number): Part => {
    const before = own.filter((node) => node.kind === "loop" || levelOf(node) < level);
    const given: Slot[] = [];
    const placeholders: NodeOf<"input">[] = [];
    const replaced = new Map<Node, Node>();
    const reached = new Set(
      topologicalOrder(outputs, new Set(before))
        .flatMap((node) => node.inputs)
        .concat(outputs),
    );
    for (const node of before) {
      if (!reached.has(node)) continue;
      const placeholder = makeNode("input", [], {
        dtype: node.dtype,
        shape: node.shape,
        name: `between loops ${node.id}`,
      });
      replaced.set(node, placeholder);
      placeholders.push(placeholder);
      given.push(slotOf(node));
    }
    return { graph: { inputs: [...graph.inputs, ...placeholders], outputs: onInputs(outputs, replaced) }, given };
  };
  const parts: SplitPart[] = [];
  for (let level = 0; level < highest; level++) {
    const made = own.filter((node) => node.kind !== "loop" && levelOf(node) === level);
    if (made.length > 0) parts.push({ kind: "graph", ...partOf(made, level), results: made.map(slotOf) });
    for (const call of loopCallsOf(order)) {
      if (levelOf(at(call.results, 0)) !== level) continue;
      parts.push({ kind: "loop", call, given: call.inputs.map(slotOf), results: call.results.map(slotOf) });
    }
  }
  return { parts, last: partOf(graph.outputs, highest), own };
}

/**
 * The graph with, of each node, the number of loops on the longest way to it, a loop itself not counted. What a barrier waits for and an
 * earlier part has made needs no waiting for.
 */
function levelled(graph: Graph): { readonly graph: Graph; readonly levelOf: (node: Node) => number } {
  const levels = new Map<Node, number>();
  const levelOf = (node: Node): number => levels.get(node) ?? 0;
  const behind = (node: Node): number => levelOf(node) + Number(node.kind === "loop");
  const rewritten = rewriteGraph(graph, (node) => {
    const level = node.inputs.reduce((most, input) => Math.max(most, behind(input)), 0);
    const isMade = node.kind === "barrier" && (levelOf(node.inputs[1]) < level || node.inputs[1].kind === "loop");
    const result = isMade ? makeNode("barrier", [node.inputs[0], node.inputs[0]], {}) : node;
    levels.set(result, level);
    return result;
  });
  return { graph: rewritten, levelOf };
}

/** Known without computing anything: made again wherever it is read. */
function isKnown(node: Node): boolean {
  let known = node;
  while (known.kind === "reshape" || known.kind === "expand") known = known.inputs[0];
  return known.kind === "literal" || known.kind === "constant" || known.kind === "iota" || known.kind === "input";
}
