/** Where two devices begin to differ. */
import type { Device } from "../../engine/devices/device.ts";
import type { TensorData } from "../../engine/graph/dtype.ts";
import { makeNode, topologicalOrder } from "../../engine/graph/graph.ts";
import type { Node } from "../../engine/graph/node.ts";
import { operationName } from "../../engine/graph/print.ts";
import { at, formatShape } from "../../engine/graph/shape.ts";
import { withInputs } from "../../engine/graph/graph.ts";
import { accuracies } from "../bounds/accuracies.ts";
import type { Accuracy } from "../bounds/bounds.ts";
import { graphBounds } from "../bounds/graphBounds.ts";
import type { Bounded } from "../bounds/bounded.ts";
import { type GraphCase, runGraph, titleOf } from "../graphCase.ts";
import { programSource } from "./programSource.ts";

/** The first value about which two devices disagree. */
export type Parting = {
  /** The node that they compute differently, although they agree about all that it is computed from. */
  readonly node: Node;
  /** The element, what each device made of it, the truth in float64, and how far apart the two may be. */
  readonly place: number;
  readonly values: readonly [number, number];
  readonly truth: number;
  readonly bound: number;
  /** The node by itself, on what the first device computed before it. */
  readonly alone: GraphCase;
  /** Whether the devices differ there, too; if not, it takes what is computed before the node (kernels that are fused). */
  readonly differsAlone: boolean;
  /** All of it in words, with `alone` as a program. */
  readonly text: string;
};

/** What devices are held to, if not to what their names promise. */
export type BisectOptions = {
  /** Of the first and of the second device; default: `accuracies` of their names. */
  readonly accuracies?: readonly [Accuracy, Accuracy];
};

/**
 * The first node of a graph that two devices compute differently: by more than rounding may make them, with the error that each is allowed
 * carried from the inputs through every operation. Each node that is looked at is compiled as the only result of what it needs; from a result
 * about which they differ the search goes to those of its inputs about which they differ.
 * @returns undefined if they agree about all results
 * @throws EvenkeelError as the devices do
 * @example
 * ```ts
 * import { maximum, tensor, type Tensor } from "evenkeel/engine";
 *
 * const wrong = new ReferenceDevice("arena", {
 *   arithmetic: { binary: (op, dtype, x, y) => (op === "maximum" ? x : float32.binary(op, dtype, x, y)) },
 * });
 * const program = await graphCase((x: Tensor) => maximum(x.add(1), 0).multiply(2), tensor([-3]));
 * const parting = await bisect(program, new ReferenceDevice("arena"), wrong);
 * console.log(parting?.text.split(",")[0], parting?.values); // maximum f32 [1] [ 0, -2 ]
 * ```
 */
export async function bisect(
  program: GraphCase,
  deviceA: Device,
  deviceB: Device,
  options: BisectOptions = {},
): Promise<Parting | undefined> {
  const [accuracyA, accuracyB] = options.accuracies ?? [accuracies[deviceA.name], accuracies[deviceB.name]];
  const look = (graphCase: GraphCase): Promise<Look> => lookAt(graphCase, [deviceA, deviceB], [accuracyA, accuracyB]);
  const { graph, inputs } = program;
  const looks = new Map<Node, Promise<Look>>();
  const ofNode = (node: Node): Promise<Look> => {
    const known = looks.get(node) ?? look({ graph: { inputs: graph.inputs, outputs: [node] }, inputs });
    looks.set(node, known);
    return known;
  };
  const differing = async (nodes: readonly Node[]): Promise<Node | undefined> => {
    for (const node of nodes) if ((await ofNode(node)).difference !== undefined) return node;
    return undefined;
  };
  let node = await differing(inOrder(graph.outputs));
  if (node === undefined) return undefined;
  for (;;) {
    const before = await differing(node.inputs);
    if (before === undefined) break;
    node = before;
  }
  const { difference } = await ofNode(node);
  if (difference === undefined) throw new Error(`node ${node.id} differs no more`);
  const given = await Promise.all(node.inputs.map(async (input) => (await ofNode(input)).results[0]));
  const alone = aloneOn(node, given);
  const differsAlone = (await look(alone)).difference !== undefined;
  return {
    node,
    ...difference,
    alone,
    differsAlone,
    text: inWords(node, difference, alone, differsAlone, [deviceA, deviceB]),
  };
}

/** Results in the order in which they are computed. */
const inOrder = (outputs: readonly Node[]): Node[] =>
  topologicalOrder(outputs).filter((node) => outputs.includes(node));

type Difference = Pick<Parting, "place" | "values" | "truth" | "bound">;

/** What two devices make of a graph with one result. */
type Look = { readonly results: readonly [TensorData, TensorData]; readonly difference: Difference | undefined };

async function lookAt(
  graphCase: GraphCase,
  [deviceA, deviceB]: readonly [Device, Device],
  [accuracyA, accuracyB]: readonly [Accuracy, Accuracy],
): Promise<Look> {
  const { graph, inputs } = graphCase;
  const results = [at(await runGraph(deviceA, graphCase), 0), at(await runGraph(deviceB, graphCase), 0)] as const;
  const wide = inputs.map((data) => Float64Array.from(data));
  const bounds = [at(graphBounds(graph, wide, accuracyA), 0), at(graphBounds(graph, wide, accuracyB), 0)] as const;
  return { results, difference: differenceOf(results, bounds) };
}

/** The first element about which they differ; NaN and the same zero are equal. */
function differenceOf(
  [a, b]: readonly [TensorData, TensorData],
  [ofA, ofB]: readonly [Bounded, Bounded],
): Difference | undefined {
  for (const [place, truth] of ofA.values.entries()) {
    const bound = (ofA.errors[place] ?? 0) + (ofB.errors[place] ?? 0);
    const [x, y] = [a[place] ?? NaN, b[place] ?? NaN];
    if (bound === Infinity || Object.is(x, y) || Math.abs(x - y) <= bound) continue;
    return { place, values: [x, y], truth, bound };
  }
  return undefined;
}

/** A node on inputs that hold what was computed before it. */
function aloneOn(node: Node, given: readonly TensorData[]): GraphCase {
  const inputs = node.inputs.map(({ dtype, shape }, i) => makeNode("input", [], { dtype, shape, name: `x${i}` }));
  return { graph: { inputs, outputs: [withInputs(node, inputs)] }, inputs: given };
}

function inWords(
  node: Node,
  { place, values: [a, b], truth, bound }: Difference,
  alone: GraphCase,
  differsAlone: boolean,
  [deviceA, deviceB]: readonly [Device, Device],
): string {
  return [
    `${operationName(node)} ${node.dtype} ${formatShape(node.shape)}, element ${place}: the first device (${titleOf(deviceA)}) has ${a}, ` +
      `the second (${titleOf(deviceB)}) has ${b}; in float64 it is ${truth}, and they may be ${bound} apart.`,
    differsAlone
      ? "They differ in the same operation alone, on these inputs:"
      : "They agree about the same operation alone, on these inputs: it takes what is computed before it in the same kernel.",
    programSource(alone),
  ].join("\n");
}
