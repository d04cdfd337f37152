/**
 * The float64 interpreter of graphs: the truth that every device is tested against. One short function a primitive, no
 * cleverness. Values are Float64Arrays; f32 is not rounded in between, integers are exact.
 */
import { type Graph, topologicalOrder } from "../../graph/graph.ts";
import type { Node, NodeOf, PrimitiveKind } from "../../graph/node.ts";
import { at, rowMajorStrides, type Shape, sizeOf } from "../../graph/shape.ts";
import { binaryScalar, castScalar, compareScalar, shiftScalar, threefryScalar, unaryScalar, wrap } from "./scalars.ts";

export type Evaluate<K extends PrimitiveKind> = (node: NodeOf<K>, inputs: readonly Float64Array[]) => Float64Array;

/** Element `i` of a value that is known to have it. */
const element = (values: Float64Array, i: number): number => {
  const value = values[i];
  if (value === undefined) throw new RangeError(`element ${i} of ${values.length}`);
  return value;
};

/** The value whose element at each place of `shape` is f(coordinates). */
function generate(shape: Shape, f: (coordinates: readonly number[]) => number): Float64Array {
  const strides = rowMajorStrides(shape);
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) =>
    f(shape.map((size, axis) => Math.floor(i / at(strides, axis)) % size)),
  );
}

/** The element of `values` at coordinates of `shape`. */
function elementAt(values: Float64Array, shape: Shape, coordinates: readonly number[]): number {
  const strides = rowMajorStrides(shape);
  return element(
    values,
    coordinates.reduce((sum, coordinate, axis) => sum + coordinate * at(strides, axis), 0),
  );
}

/** f over all places of `shape`. */
function forEachPlace(shape: Shape, f: (coordinates: readonly number[]) => void): void {
  generate(shape, (coordinates) => {
    f(coordinates);
    return 0;
  });
}

function elementwise(node: Node, inputs: readonly Float64Array[], f: (...values: number[]) => number): Float64Array {
  return Float64Array.from({ length: sizeOf(node.shape) }, (_, i) => f(...inputs.map((input) => element(input, i))));
}

function first(inputs: readonly Float64Array[]): Float64Array {
  return at(inputs, 0);
}

const evaluators: { readonly [K in PrimitiveKind]: Evaluate<K> } = {
  constant: ({ attributes }) => Float64Array.from(attributes.data),
  literal: ({ attributes }) => Float64Array.of(attributes.value),
  input: ({ attributes }) => {
    throw new Error(`input ${attributes.name} was not given`);
  },
  iota: ({ shape, attributes }) => generate(shape, (coordinates) => at(coordinates, attributes.axis)),
  unary: (node, inputs) => elementwise(node, inputs, (x) => unaryScalar(node.attributes.op, x, node.inputs[0].dtype)),
  binary: (node, inputs) => elementwise(node, inputs, (x, y) => binaryScalar(node.attributes.op, x, y, node.dtype)),
  compare: (node, inputs) => elementwise(node, inputs, (x, y) => compareScalar(node.attributes.op, x, y)),
  select: (node, inputs) => elementwise(node, inputs, (condition, x, y) => (condition === 0 ? y : x)),
  cast: (node, inputs) => elementwise(node, inputs, (x) => castScalar(x, node.inputs[0].dtype, node.dtype)),
  shift: (node, inputs) => {
    const { direction, amount } = node.attributes;
    return elementwise(node, inputs, (x) => shiftScalar(direction, amount, x, node.dtype));
  },
  threefry: (node, inputs) =>
    elementwise(node, inputs, (k0, k1, c0, c1) => threefryScalar(node.attributes.word, k0, k1, c0, c1)),
  reduce: reduceValues,
  reshape: (_, inputs) => first(inputs),
  permute: ({ shape, attributes, inputs: [x] }, inputs) =>
    generate(shape, (coordinates) =>
      elementAt(
        first(inputs),
        x.shape,
        x.shape.map((_, axis) => at(coordinates, attributes.order.indexOf(axis))),
      ),
    ),
  expand: ({ shape, inputs: [x] }, inputs) =>
    generate(shape, (coordinates) =>
      elementAt(
        first(inputs),
        x.shape,
        coordinates.map((coordinate, axis) => (x.shape[axis] === 1 ? 0 : coordinate)),
      ),
    ),
  slice: ({ shape, attributes: { start, step }, inputs: [x] }, inputs) =>
    generate(shape, (coordinates) =>
      elementAt(
        first(inputs),
        x.shape,
        coordinates.map((coordinate, axis) => at(start, axis) + coordinate * at(step, axis)),
      ),
    ),
  pad: ({ shape, attributes: { low, value }, inputs: [x] }, inputs) =>
    generate(shape, (coordinates) => {
      const inner = coordinates.map((coordinate, axis) => coordinate - at(low, axis));
      const isInside = inner.every((coordinate, axis) => coordinate >= 0 && coordinate < at(x.shape, axis));
      return isInside ? elementAt(first(inputs), x.shape, inner) : value;
    }),
  concat: ({ shape, attributes: { axis }, inputs: parts }, inputs) =>
    generate(shape, (coordinates) => {
      let place = at(coordinates, axis);
      let part = 0;
      while (place >= at(at(parts, part).shape, axis)) place -= at(at(parts, part++).shape, axis);
      const inner = coordinates.map((coordinate, a) => (a === axis ? place : coordinate));
      return elementAt(at(inputs, part), at(parts, part).shape, inner);
    }),
  gather: ({ shape, attributes: { axis }, inputs: [x] }, inputs) =>
    generate(shape, (coordinates) => {
      const wanted = element(at(inputs, 1), at(coordinates, axis));
      const row = Math.min(at(x.shape, axis) - 1, Math.max(0, wanted));
      return elementAt(
        first(inputs),
        x.shape,
        coordinates.map((coordinate, a) => (a === axis ? row : coordinate)),
      );
    }),
  matmul: ({ shape, inputs: [a, b] }, inputs) =>
    generate(shape, ([batch, row, column]) => {
      let sum = 0;
      for (let k = 0; k < at(a.shape, 2); k++) {
        const left = elementAt(first(inputs), a.shape, [batch ?? 0, row ?? 0, k]);
        sum += left * elementAt(at(inputs, 1), b.shape, [batch ?? 0, k, column ?? 0]);
      }
      return sum;
    }),
  conv: convolve,
  stopGradient: (_, inputs) => first(inputs),
};

function reduceValues(node: NodeOf<"reduce">, inputs: readonly Float64Array[]): Float64Array {
  const { op, axes } = node.attributes;
  const [x] = node.inputs;
  const lowest = node.dtype === "f32" ? -Infinity : node.dtype === "i32" ? -(2 ** 31) : 0;
  const result = new Float64Array(sizeOf(node.shape)).fill(op === "sum" ? 0 : lowest);
  const strides = rowMajorStrides(node.shape);
  let i = 0;
  forEachPlace(x.shape, (coordinates) => {
    const place = coordinates.reduce((sum, c, axis) => (axes.includes(axis) ? sum : sum + c * at(strides, axis)), 0);
    const [before, value] = [element(result, place), element(first(inputs), i++)];
    result[place] = op === "sum" ? wrap(before + value, node.dtype) : Math.max(before, value);
  });
  return result;
}

/** Sums x[n, c, y * stride + ky * dilation - padding] * w[o, c, ky] * y[n, o, y] into the one of the three that is sought. */
function convolve(node: NodeOf<"conv">, inputs: readonly Float64Array[]): Float64Array {
  const { role, geometry } = node.attributes;
  const { stride, dilation, padding, groups } = geometry;
  const result = new Float64Array(sizeOf(node.shape));
  const [a, b] = [first(inputs), at(inputs, 1)];
  const [aShape, bShape] = [node.inputs[0].shape, node.inputs[1].shape];
  const xShape = role === "inputGradient" ? node.shape : aShape;
  const wShape = role === "filterGradient" ? node.shape : bShape;
  const yShape = role === "forward" ? node.shape : role === "inputGradient" ? aShape : bShape;
  const placeIn = (shape: Shape, coordinates: readonly number[]): number => {
    const strides = rowMajorStrides(shape);
    return coordinates.reduce((sum, coordinate, axis) => sum + coordinate * at(strides, axis), 0);
  };
  const perGroup = at(wShape, 0) / groups;
  const add = (to: number, from: number, other: number): void => {
    result[to] = element(result, to) + element(a, from) * element(b, other);
  };
  forEachPlace(
    [at(yShape, 0), ...wShape, ...geometry.outputSize],
    ([n = 0, o = 0, c = 0, ky = 0, kx = 0, row = 0, column = 0]) => {
      const y = row * stride[0] + ky * dilation[0] - padding[0];
      const x = column * stride[1] + kx * dilation[1] - padding[1];
      if (y < 0 || y >= geometry.inputSize[0] || x < 0 || x >= geometry.inputSize[1]) return;
      const inX = placeIn(xShape, [n, Math.floor(o / perGroup) * at(wShape, 1) + c, y, x]);
      const inW = placeIn(wShape, [o, c, ky, kx]);
      const inY = placeIn(yShape, [n, o, row, column]);
      if (role === "forward") add(inY, inX, inW);
      else if (role === "inputGradient") add(inX, inY, inW);
      else add(inW, inX, inY);
    },
  );
  return result;
}

/** Told of every node that was evaluated and how long that took. */
export type Observe = (node: Node, milliseconds: number) => void;

/** The value of every node of a graph. `inputs` in the order of `graph.inputs`. */
export function evaluateNodes(
  graph: Graph,
  inputs: readonly Float64Array[],
  observe?: Observe,
): Map<Node, Float64Array> {
  const values = new Map<Node, Float64Array>(graph.inputs.map((input, i) => [input, at(inputs, i)]));
  for (const node of topologicalOrder(graph.outputs)) {
    if (values.has(node)) continue;
    const given = node.inputs.map((input) => values.get(input) as Float64Array);
    const start = performance.now();
    values.set(node, evaluateNode(node, given));
    observe?.(node, performance.now() - start);
  }
  return values;
}

/** One node's value from those of its inputs. */
export function evaluateNode(node: Node, inputs: readonly Float64Array[]): Float64Array {
  // The evaluator of a node's own kind fits the node, which TypeScript can't correlate over the union.
  const evaluate = evaluators[node.kind] as Evaluate<PrimitiveKind>;
  return evaluate(node, inputs);
}

/** The outputs of a graph. */
export function evaluateGraph(graph: Graph, inputs: readonly Float64Array[], observe?: Observe): Float64Array[] {
  const values = evaluateNodes(graph, inputs, observe);
  return graph.outputs.map((output) => values.get(output) as Float64Array);
}
