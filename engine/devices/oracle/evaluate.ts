/**
 * The float64 interpreter of graphs: the truth that every device is tested against. One short function a primitive, no
 * cleverness. Values are Float64Arrays; f32 is not rounded in between, integers are exact.
 */
import { atOnce } from "../eventLoop.ts";
import { type Graph, topologicalOrder } from "../../graph/graph.ts";
import type { DType } from "../../graph/dtype.ts";
import { neutralElement } from "../../graph/neutralElement.ts";
import type { Loop, Node, NodeOf, PrimitiveKind, ReduceOp } from "../../graph/node.ts";
import { at, rowMajorStrides, type Shape, sizeOf } from "../../graph/shape.ts";
import { binaryScalar, castScalar, compareScalar, shiftScalar, threefryScalar, unaryScalar, wrap } from "./scalars.ts";

export type Evaluate<K extends PrimitiveKind> = (node: NodeOf<K>, inputs: readonly Float64Array[]) => Float64Array;

/** Element `i` of a value that is known to have it. */
const element = (values: Float64Array, i: number): number => {
  const value = values[i];
  if (value === undefined) throw new RangeError(`element ${i} of ${values.length}`);
  return value;
};

/** f over all places of `shape`, in row-major order. The coordinates are one array that moves on: don't keep it. */
function forEachPlace(shape: Shape, f: (coordinates: readonly number[]) => void): void {
  const coordinates = shape.map(() => 0);
  for (let left = sizeOf(shape); left > 0; left--) {
    f(coordinates);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = at(coordinates, axis) + 1;
      coordinates[axis] = next < at(shape, axis) ? next : 0;
      if (next < at(shape, axis)) break;
    }
  }
}

/** The value whose element at each place of `shape` is f(coordinates). */
function generate(shape: Shape, f: (coordinates: readonly number[]) => number): Float64Array {
  const result = new Float64Array(sizeOf(shape));
  let i = 0;
  forEachPlace(shape, (coordinates) => {
    result[i++] = f(coordinates);
  });
  return result;
}

/** Where an element is: the sum of its coordinates, each times the stride of its axis. */
function placeOf(coordinates: readonly number[], strides: readonly number[]): number {
  let place = 0;
  for (let axis = 0; axis < strides.length; axis++) place += at(coordinates, axis) * at(strides, axis);
  return place;
}

/** f over where the elements of `shape` are, in row-major order, when the first is at `start` and axes have these strides. */
function walk(shape: Shape, strides: readonly number[], start: number, f: (place: number) => void, axis = 0): void {
  if (axis >= shape.length) {
    f(start);
    return;
  }
  const [size, stride] = [at(shape, axis), at(strides, axis)];
  const isLast = axis === shape.length - 1;
  for (let i = 0; i < size; i++) {
    if (isLast) f(start + i * stride);
    else walk(shape, strides, start + i * stride, f, axis + 1);
  }
}

/** The value of `shape` whose elements are those of `values` from `start` on with these strides. */
function view(values: Float64Array, shape: Shape, strides: readonly number[], start = 0): Float64Array {
  const result = new Float64Array(sizeOf(shape));
  let i = 0;
  walk(shape, strides, start, (place) => {
    result[i++] = element(values, place);
  });
  return result;
}

function elementwise(
  node: Node,
  inputs: readonly Float64Array[],
  f: (x: number, y: number, z: number, w: number) => number,
): Float64Array {
  const result = new Float64Array(sizeOf(node.shape));
  // Operations have one to four operands; those they haven't got are not looked at.
  const [x = result, y = x, z = x, w = x] = inputs;
  for (let i = 0; i < result.length; i++) result[i] = f(element(x, i), element(y, i), element(z, i), element(w, i));
  return result;
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
  permute: ({ shape, attributes: { order }, inputs: [x] }, inputs) => {
    const strides = rowMajorStrides(x.shape);
    return view(
      first(inputs),
      shape,
      order.map((axis) => at(strides, axis)),
    );
  },
  expand: ({ shape, inputs: [x] }, inputs) => view(first(inputs), shape, repeatedStrides(x.shape)),
  slice: ({ shape, attributes: { start, step }, inputs: [x] }, inputs) => {
    const strides = rowMajorStrides(x.shape);
    return view(
      first(inputs),
      shape,
      strides.map((stride, axis) => stride * at(step, axis)),
      placeOf(start, strides),
    );
  },
  pad: ({ shape, attributes: { low, value }, inputs: [x] }, inputs) => {
    const strides = rowMajorStrides(x.shape);
    return generate(shape, (coordinates) => {
      const isInside = coordinates.every((coordinate, axis) => {
        const inner = coordinate - at(low, axis);
        return inner >= 0 && inner < at(x.shape, axis);
      });
      return isInside ? element(first(inputs), placeOf(coordinates, strides) - placeOf(low, strides)) : value;
    });
  },
  concat: ({ shape, attributes: { axis }, inputs: parts }, inputs) => {
    const strides = parts.map((part) => rowMajorStrides(part.shape));
    return generate(shape, (coordinates) => {
      let place = at(coordinates, axis);
      let part = 0;
      while (place >= at(at(parts, part).shape, axis)) place -= at(at(parts, part++).shape, axis);
      const own = at(strides, part);
      return element(at(inputs, part), placeOf(coordinates, own) + (place - at(coordinates, axis)) * at(own, axis));
    });
  },
  gather: ({ shape, attributes: { axis }, inputs: [x, index] }, inputs) => {
    const strides = rowMajorStrides(x.shape);
    const inIndex = repeatedStrides(index.shape);
    return generate(shape, (coordinates) => {
      const place = at(coordinates, axis);
      const given = element(at(inputs, 1), placeOf(coordinates, inIndex));
      const row = Math.min(at(x.shape, axis) - 1, Math.max(0, given));
      return element(first(inputs), placeOf(coordinates, strides) + (row - place) * at(strides, axis));
    });
  },
  scatter: ({ shape, dtype, attributes: { op, axis }, inputs: [{ shape: taken }, { shape: indexShape }] }, inputs) => {
    const [values, index] = [first(inputs), at(inputs, 1)];
    const result = new Float64Array(sizeOf(shape)).fill(neutralElement(op, dtype));
    const strides = rowMajorStrides(shape);
    const inIndex = repeatedStrides(indexShape);
    let i = 0;
    forEachPlace(taken, (coordinates) => {
      const value = element(values, i++);
      const place = at(coordinates, axis);
      const row = element(index, placeOf(coordinates, inIndex));
      if (!(row >= 0 && row < at(shape, axis))) return;
      const to = placeOf(coordinates, strides) + (row - place) * at(strides, axis);
      result[to] = fold(op, element(result, to), value, dtype);
    });
    return result;
  },
  matmul: ({ shape, inputs: [a] }, inputs) => {
    const [, rows = 0, columns = 0] = shape;
    const inner = at(a.shape, 2);
    const [x, y] = [first(inputs), at(inputs, 1)];
    return generate(shape, ([batch = 0, row = 0, column = 0]) => {
      const left = (batch * rows + row) * inner;
      const right = batch * inner * columns + column;
      let sum = 0;
      for (let k = 0; k < inner; k++) {
        sum += element(x, left + k) * element(y, right + k * columns);
      }
      return sum;
    });
  },
  conv: convolve,
  stopGradient: (_, inputs) => first(inputs),
  check: (_, inputs) => first(inputs),
  barrier: (_, inputs) => first(inputs),
  ruled: (_, inputs) => first(inputs),
  loop: loopResult,
};

/** Strides of a value whose axes of size 1 stand for all. */
function repeatedStrides(shape: Shape): number[] {
  return rowMajorStrides(shape).map((stride, axis) => (shape[axis] === 1 ? 0 : stride));
}

const fold = (op: ReduceOp, before: number, value: number, dtype: DType): number =>
  op === "sum" ? wrap(before + value, dtype) : Math.max(before, value);

/** All that a loop gives, by kind and index. */
type LoopValues = { readonly [K in "carry" | "stacked" | "history"]: readonly Float64Array[] };

/** The last values of each loop: a graph has a node for each result. */
const lastValues = new WeakMap<Loop, { readonly inputs: readonly Float64Array[]; readonly values: LoopValues }>();

function loopResult({ attributes: { loop, result } }: NodeOf<"loop">, inputs: readonly Float64Array[]): Float64Array {
  if (result.kind === "any") {
    let isAny = 0;
    runLoop(loop, [...loop.body.outputs, result.node], inputs, (outputs) => {
      isAny = Math.max(isAny, element(at(outputs, loop.body.outputs.length), 0));
    });
    return Float64Array.of(isAny);
  }
  const last = lastValues.get(loop);
  const isSame = last?.inputs.every((values, i) => values === inputs[i]) ?? false;
  const values = last !== undefined && isSame ? last.values : loopValues(loop, inputs);
  lastValues.set(loop, { inputs, values });
  return at(values[result.kind], result.index);
}

function loopValues(loop: Loop, inputs: readonly Float64Array[]): LoopValues {
  const { body, carried, length } = loop;
  const all = (node: Node): Float64Array => new Float64Array(length * sizeOf(node.shape));
  const [stacked, history] = [body.outputs.slice(carried).map(all), body.inputs.slice(0, carried).map(all)];
  const carry = runLoop(loop, body.outputs, inputs, (outputs, row, before) => {
    stacked.forEach((values, i) => {
      const own = at(outputs, carried + i);
      values.set(own, row * own.length);
    });
    history.forEach((values, i) => values.set(at(before, i), row * at(before, i).length));
  });
  return { carry, stacked, history };
}

/** Tells what each iteration gives, for which row, and of what was carried into it. @returns what is carried out of the last. */
function runLoop(
  { body, carried, rows, length, reverse }: Loop,
  outputs: readonly Node[],
  inputs: readonly Float64Array[],
  tell: (outputs: readonly Float64Array[], row: number, before: readonly Float64Array[]) => void,
): readonly Float64Array[] {
  let state = inputs.slice(0, carried);
  for (let iteration = 0; iteration < length; iteration++) {
    const row = reverse ? length - 1 - iteration : iteration;
    const taken = inputs.slice(carried, carried + rows).map((values) => {
      const size = values.length / length;
      return values.subarray(row * size, (row + 1) * size);
    });
    const given = [...state, ...taken, ...inputs.slice(carried + rows)];
    const results = evaluateGraph({ inputs: body.inputs, outputs }, given);
    tell(results, row, state);
    state = results.slice(0, carried);
  }
  return state;
}

function reduceValues(node: NodeOf<"reduce">, inputs: readonly Float64Array[]): Float64Array {
  const { op, axes } = node.attributes;
  const [x] = node.inputs;
  const result = new Float64Array(sizeOf(node.shape)).fill(neutralElement(op, node.dtype));
  const strides = rowMajorStrides(node.shape).map((stride, axis) => (axes.includes(axis) ? 0 : stride));
  let i = 0;
  walk(x.shape, strides, 0, (place) => {
    result[place] = fold(op, element(result, place), element(first(inputs), i++), node.dtype);
  });
  return result;
}

/** Sums x[n, c, y * stride + ky * dilation - padding] * w[o, c, ky] * y[n, o, y] into the one of the three that is sought. */
function convolve(node: NodeOf<"conv">, inputs: readonly Float64Array[]): Float64Array {
  const { role, geometry } = node.attributes;
  const { stride, dilation, padding, groups, inputSize, outputSize } = geometry;
  const result = new Float64Array(sizeOf(node.shape));
  const [a, b] = [first(inputs), at(inputs, 1)];
  const [aShape, bShape] = [node.inputs[0].shape, node.inputs[1].shape];
  const xShape = role === "inputGradient" ? node.shape : aShape;
  const wShape = role === "filterGradient" ? node.shape : bShape;
  const yShape = role === "forward" ? node.shape : role === "inputGradient" ? aShape : bShape;
  const [outputs = 0, channels = 0, kernelRows = 0, kernelColumns = 0] = wShape;
  const perGroup = outputs / groups;
  // Of each row or column of the filter: its shift in x, and the rows or columns of y whose place in x lies within the input.
  const taps = (
    axis: 0 | 1,
    count: number,
  ): { readonly shift: number; readonly start: number; readonly end: number }[] =>
    Array.from({ length: count }, (_, k) => {
      const shift = k * dilation[axis] - padding[axis];
      return {
        shift,
        start: Math.max(0, Math.ceil(-shift / stride[axis])),
        end: Math.min(outputSize[axis], Math.floor((inputSize[axis] - 1 - shift) / stride[axis]) + 1),
      };
    });
  const [rowTaps, columnTaps] = [taps(0, kernelRows), taps(1, kernelColumns)];
  forEachPlace([at(yShape, 0), ...wShape], ([n = 0, o = 0, c = 0, ky = 0, kx = 0]) => {
    const { shift: shiftY, start: firstRow, end: endRow } = at(rowTaps, ky);
    const { shift: shiftX, start: firstColumn, end: endColumn } = at(columnTaps, kx);
    const inW = ((o * channels + c) * kernelRows + ky) * kernelColumns + kx;
    const plane = n * at(xShape, 1) + Math.floor(o / perGroup) * channels + c;
    const inX = (plane * inputSize[0] + shiftY) * inputSize[1] + shiftX;
    const inY = (n * outputs + o) * outputSize[0] * outputSize[1];
    for (let row = firstRow; row < endRow; row++) {
      const x = inX + row * stride[0] * inputSize[1] + firstColumn * stride[1];
      const y = inY + row * outputSize[1] + firstColumn;
      const count = endColumn - firstColumn;
      if (role === "forward") addProducts(count, result, y, 1, a, x, stride[1], b, inW, 0);
      else if (role === "inputGradient") addProducts(count, result, x, stride[1], a, y, 1, b, inW, 0);
      else addProducts(count, result, inW, 0, a, x, stride[1], b, y, 1);
    }
  });
  return result;
}

/** Adds to elements of `result` the products of elements of a and b: `count` of each, from a place on and with a step. */
function addProducts(
  count: number,
  result: Float64Array,
  to: number,
  toStep: number,
  a: Float64Array,
  inA: number,
  aStep: number,
  b: Float64Array,
  inB: number,
  bStep: number,
): void {
  for (let i = 0; i < count; i++) {
    const product = element(a, inA + i * aStep) * element(b, inB + i * bStep);
    result[to + i * toStep] = element(result, to + i * toStep) + product;
  }
}

/** Told of every node that was evaluated and how long that took. */
export type Observe = (node: Node, milliseconds: number) => void;

/** The value of every node of a graph. `inputs` in the order of `graph.inputs`. */
export function evaluateNodes(
  graph: Graph,
  inputs: readonly Float64Array[],
  observe?: Observe,
): Map<Node, Float64Array> {
  return atOnce(nodeByNode(graph, inputs, observe));
}

/** The same, with a pause after every node. */
export function* nodeByNode(
  graph: Graph,
  inputs: readonly Float64Array[],
  observe?: Observe,
): Generator<void, Map<Node, Float64Array>> {
  const values = new Map<Node, Float64Array>(graph.inputs.map((input, i) => [input, at(inputs, i)]));
  for (const node of topologicalOrder(graph.outputs)) {
    if (values.has(node)) continue;
    const given = node.inputs.map((input) => values.get(input) as Float64Array);
    const start = performance.now();
    values.set(node, evaluateNode(node, given));
    observe?.(node, performance.now() - start);
    yield;
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
