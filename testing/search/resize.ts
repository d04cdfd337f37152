/** A graph with another size of its axes. */
import { EvenkeelError } from "../../engine/errors.ts";
import { allocateData, dtypeOfData, type TensorData } from "../../engine/graph/dtype.ts";
import { makeNode, topologicalOrder, withInputs } from "../../engine/graph/graph.ts";
import type { Node, NodeOf } from "../../engine/graph/node.ts";
import { at, rowMajorStrides, type Shape, sizeOf } from "../../engine/graph/shape.ts";
import type { GraphCase } from "../graphCase.ts";

/** Which elements stay of an axis that becomes shorter. */
export type Kept = "first" | "last";

/**
 * The graph with axes of size `to` wherever they were of size `from`, with the first or last of their elements; undefined where it doesn't
 * fit together so.
 */
export function resized({ graph, inputs }: GraphCase, from: number, to: number, kept: Kept): GraphCase | undefined {
  const change: Change = { from, to, kept };
  const made = new Map<Node, Node>();
  const ofNode = (node: Node): Node => made.get(node) ?? node;
  try {
    const newInputs = graph.inputs.map((input) => {
      const shape = sizes(input.shape, change);
      const own = makeNode("input", [], { ...input.attributes, shape });
      made.set(input, own);
      return own;
    });
    for (const node of topologicalOrder(graph.outputs)) {
      if (!made.has(node)) made.set(node, rebuilt(node, node.inputs.map(ofNode), change));
    }
    const data = graph.inputs.map((input, i) => cut(at(inputs, i), input.shape, change));
    return { graph: { inputs: newInputs, outputs: graph.outputs.map(ofNode) }, inputs: data };
  } catch (reason) {
    if (reason instanceof EvenkeelError) return undefined;
    throw reason;
  }
}

type Change = { readonly from: number; readonly to: number; readonly kept: Kept };

const resize = (size: number, { from, to }: Change): number => (size === from ? to : size);
const sizes = (shape: Shape, change: Change): number[] => shape.map((size) => resize(size, change));

/** What stays of an array's elements. */
function cut(data: TensorData, shape: Shape, change: Change): TensorData {
  const { from, to, kept } = change;
  const result = allocateData(dtypeOfData(data), sizeOf(sizes(shape, change)));
  const strides = rowMajorStrides(shape);
  let next = 0;
  const walk = (axis: number, place: number): void => {
    const size = shape[axis];
    if (size === undefined) {
      result[next++] = data[place] ?? NaN;
      return;
    }
    const first = size === from && kept === "last" ? from - to : 0;
    for (let i = 0; i < resize(size, change); i++) walk(axis + 1, place + (first + i) * at(strides, axis));
  };
  walk(0, 0);
  return result;
}

/** The node on other inputs, with its own sizes changed. */
function rebuilt(node: Node, inputs: readonly Node[], change: Change): Node {
  switch (node.kind) {
    case "constant": {
      const { dtype, shape, data } = node.attributes;
      return makeNode("constant", [], { dtype, shape: sizes(shape, change), data: cut(data, shape, change) });
    }
    case "iota":
      return makeNode("iota", [], { ...node.attributes, shape: sizes(node.attributes.shape, change) });
    case "expand":
      return makeNode("expand", [at(inputs, 0)], { shape: sizes(node.shape, change) });
    case "reshape":
      return makeNode("reshape", [at(inputs, 0)], { shape: reshapedTo(node, at(inputs, 0), change) });
    case "slice":
      return slice(node, at(inputs, 0), change);
    case "scatter":
      return makeNode("scatter", [at(inputs, 0), at(inputs, 1)], {
        ...node.attributes,
        size: resize(node.attributes.size, change),
      });
    case "conv":
      return convolution(node, [at(inputs, 0), at(inputs, 1)], change);
    case "literal":
    case "input":
    case "unary":
    case "binary":
    case "compare":
    case "select":
    case "cast":
    case "shift":
    case "threefry":
    case "reduce":
    case "permute":
    case "pad":
    case "concat":
    case "gather":
    case "matmul":
    case "stopGradient":
    case "check":
    case "barrier":
    case "ruled":
      return withInputs(node, inputs);
    case "loop":
      // A body keeps its own sizes: what doesn't fit it any more isn't tried.
      return withInputs(node, inputs);
  }
}

/** Of a reshape: each axis of the size in question changed, or else the one that holds it as a factor. */
function reshapedTo({ shape }: NodeOf<"reshape">, input: Node, change: Change): number[] {
  const wanted = sizes(shape, change);
  const [has, needs] = [sizeOf(wanted), sizeOf(input.shape)];
  if (has === needs || has === 0) return wanted;
  const axis = wanted.findLastIndex((size) => (size * needs) % has === 0);
  return axis < 0 ? wanted : wanted.with(axis, (at(wanted, axis) * needs) / has);
}

/** As many elements as fit, from as near to the old start as they do. */
function slice({ attributes: { start, size, step }, shape }: NodeOf<"slice">, input: Node, change: Change): Node {
  const newSize = shape.map((count, axis) => {
    const room = Math.floor((at(input.shape, axis) - 1) / Math.abs(at(step, axis))) + 1;
    return Math.min(resize(count, change), room);
  });
  const newStart = start.map((first, axis) => {
    const reach = (Math.max(1, at(newSize, axis)) - 1) * at(step, axis);
    const last = at(input.shape, axis) - 1;
    return Math.max(0, -reach, Math.min(first, last, last - reach));
  });
  return makeNode("slice", [input], { start: size.map((_, axis) => at(newStart, axis)), size: newSize, step });
}

function convolution(
  { attributes: { role, geometry } }: NodeOf<"conv">,
  inputs: readonly [Node, Node],
  change: Change,
): Node {
  const pair = (of: (axis: 0 | 1) => number): readonly [number, number] => [of(0), of(1)];
  const inputSize = pair((axis) => resize(geometry.inputSize[axis], change));
  const kernelSize = pair((axis) => resize(geometry.kernelSize[axis], change));
  const outputSize = pair((axis) => {
    const { stride, dilation } = geometry;
    const reach = (size: readonly number[]): number => dilation[axis] * (at(size, axis) - 1) + 1;
    // What the padding behind the image left room for stays.
    const room = (geometry.outputSize[axis] - 1) * stride[axis] + reach(geometry.kernelSize) - geometry.inputSize[axis];
    return Math.floor((inputSize[axis] + room - reach(kernelSize)) / stride[axis]) + 1;
  });
  return makeNode("conv", inputs, { role, geometry: { ...geometry, inputSize, kernelSize, outputSize } });
}
