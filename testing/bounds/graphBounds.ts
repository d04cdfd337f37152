/** The oracle's values of a graph with their error bounds: `bounds.ts` applied node by node. */
import { evaluateNode } from "../../engine/devices/oracle/evaluate.ts";
import { type Graph, makeNode, topologicalOrder } from "../../engine/graph/graph.ts";
import type { Node, NodeOf } from "../../engine/graph/node.ts";
import { at, sizeOf } from "../../engine/graph/shape.ts";
import { type Bounded, boundedInput } from "./bounded.ts";
import {
  type Accuracy,
  binaryError,
  compareError,
  conversionError,
  literalError,
  sumError,
  truncationError,
  unaryError,
} from "./bounds.ts";

/**
 * Values and bounds of a graph's outputs for inputs that float32 holds exactly.
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const { graph, inputs } = await graphCase((x: Tensor) => x.divide(3), tensor([1]));
 * const [bounded] = graphBounds(graph, inputs.map((data) => Float64Array.from(data)), accuracies.wasm);
 * console.log(bounded?.values, bounded?.errors); // Float64Array(1) [ 0.33333 ] Float64Array(1) [ 1.9868e-8 ]
 * ```
 */
export function graphBounds(graph: Graph, inputs: readonly Float64Array[], accuracy: Accuracy): Bounded[] {
  return boundsFrom(
    graph,
    graph.inputs.map((input, i) => boundedInput(at(inputs, i), input.dtype, accuracy)),
    accuracy,
  );
}

/** The same for inputs that have errors. */
function boundsFrom(graph: Graph, inputs: readonly Bounded[], accuracy: Accuracy): Bounded[] {
  const known = new Map<Node, Bounded>();
  graph.inputs.forEach((input, i) => known.set(input, at(inputs, i)));
  const of = (node: Node): Bounded => {
    const bounded = known.get(node);
    if (bounded === undefined) throw new Error(`node ${node.id} visited before its inputs`);
    return bounded;
  };
  for (const node of topologicalOrder(graph.outputs)) {
    if (known.has(node)) continue;
    const given = node.inputs.map(of);
    const values = evaluateNode(
      node,
      given.map((input) => input.values),
    );
    known.set(node, { values, errors: errorsOf(node, values, given, accuracy) });
  }
  return graph.outputs.map(of);
}

const uncertainIf = (condition: boolean): number => (condition ? Infinity : 0);

function errorsOf(node: Node, values: Float64Array, inputs: readonly Bounded[], accuracy: Accuracy): Float64Array {
  const each = (f: (i: number) => number): Float64Array => values.map((_, i) => f(i));
  const pair = (input: number, i: number): readonly [number, number] => {
    const { values: x, errors: e } = at(inputs, input);
    return [x[i] ?? NaN, e[i] ?? Infinity];
  };
  const anyUncertain = (i: number): number => uncertainIf(inputs.some(({ errors }) => errors[i] === Infinity));
  switch (node.kind) {
    case "input":
      throw new Error("an input has no error of its own");
    case "constant":
      return boundedInput(values, node.dtype, accuracy).errors;
    case "literal":
      return values.map((value) => (node.dtype === "f32" ? literalError(value, accuracy) : 0));
    case "iota":
      return values.map((value) => (node.dtype === "f32" ? conversionError(value) : 0));
    case "unary": {
      if (node.inputs[0].dtype !== "f32") return each(anyUncertain);
      return each((i) => unaryError(node.attributes.op, ...pair(0, i), accuracy));
    }
    case "binary":
      if (node.dtype !== "f32") return each(anyUncertain);
      return each((i) => binaryError(node.attributes.op, pair(0, i), pair(1, i), accuracy));
    case "compare":
      if (node.inputs[0].dtype !== "f32") return each(anyUncertain);
      return each((i) => compareError(node.attributes.op, pair(0, i), pair(1, i), accuracy));
    case "select":
      return each((i) => {
        const [condition, decided] = pair(0, i);
        return decided === Infinity ? Infinity : pair(condition === 0 ? 2 : 1, i)[1];
      });
    case "cast": {
      const from = node.inputs[0].dtype;
      if (node.dtype === "f32") return each((i) => (anyUncertain(i) === 0 ? conversionError(pair(0, i)[0]) : Infinity));
      if (from !== "f32") return each(anyUncertain);
      if (node.dtype === "bool") return each((i) => compareError("notEqual", pair(0, i), [0, 0], accuracy));
      return each((i) => truncationError(...pair(0, i)));
    }
    case "shift":
    case "threefry":
      return each(anyUncertain);
    case "loop":
      return loopErrors(node, inputs, accuracy);
    case "stopGradient":
    case "check":
    case "barrier":
    case "ruled":
      return at(inputs, 0).errors;
    case "reshape":
    case "permute":
    case "expand":
    case "slice":
    case "concat":
      return evaluateNode(
        node,
        inputs.map(({ errors }) => errors),
      );
    case "pad":
      return evaluateNode(makeNode("pad", [asF32(node.inputs[0])], { ...node.attributes, value: 0 }), [
        at(inputs, 0).errors,
      ]);
    case "gather": {
      const errors = evaluateNode(node, [at(inputs, 0).errors, at(inputs, 1).values]);
      const ofIndex = makeNode("expand", [asF32(node.inputs[1])], { shape: node.shape });
      const uncertain = evaluateNode(ofIndex, [at(inputs, 1).errors]);
      return errors.map((error, i) => (uncertain[i] === Infinity ? Infinity : error));
    }
    case "scatter":
      return scatterErrors(node, values, [at(inputs, 0), at(inputs, 1)], accuracy);
    case "reduce":
      return reduceErrors(node, values, at(inputs, 0), accuracy);
    case "matmul":
    case "conv":
      return productErrors(node, values, [at(inputs, 0), at(inputs, 1)], accuracy);
  }
}

/** Errors that grow from iteration to iteration. */
function loopErrors(node: NodeOf<"loop">, inputs: readonly Bounded[], accuracy: Accuracy): Float64Array {
  const { loop, result } = node.attributes;
  const { body, carried, rows, length, reverse } = loop;
  const outputs = result.kind === "any" ? [...body.outputs, result.node] : body.outputs;
  const errors = new Float64Array(sizeOf(node.shape));
  const size = errors.length / length;
  let state = inputs.slice(0, carried);
  for (let iteration = 0; iteration < length; iteration++) {
    const row = reverse ? length - 1 - iteration : iteration;
    const part = (all: Float64Array): Float64Array =>
      all.subarray((row * all.length) / length, ((row + 1) * all.length) / length);
    const taken = inputs
      .slice(carried, carried + rows)
      .map((all) => ({ values: part(all.values), errors: part(all.errors) }));
    const before = state;
    const made = boundsFrom(
      { inputs: body.inputs, outputs },
      [...state, ...taken, ...inputs.slice(carried + rows)],
      accuracy,
    );
    state = made.slice(0, carried);
    if (result.kind === "any") errors[0] = Math.max(errors[0] ?? 0, at(made, body.outputs.length).errors[0] ?? 0);
    if (result.kind === "stacked") errors.set(at(made, carried + result.index).errors, row * size);
    if (result.kind === "history") errors.set(at(before, result.index).errors, row * size);
  }
  return result.kind === "carry" ? at(state, result.index).errors : errors;
}

/** Errors of sums of products. What a NaN, an infinity or an uncertain factor reaches is uncertain. */
function productErrors(
  node: NodeOf<"matmul"> | NodeOf<"conv">,
  values: Float64Array,
  [a, b]: readonly [Bounded, Bounded],
  accuracy: Accuracy,
): Float64Array {
  const ones = (x: Bounded): Float64Array => x.values.map(() => 1);
  const bad = (x: Bounded): Float64Array =>
    x.values.map((value, i) => Number(!Number.isFinite(value + (x.errors[i] ?? 0))));
  const without = (x: Bounded, f: (value: number, error: number) => number): Float64Array =>
    x.values.map((value, i) => (Number.isFinite(value + (x.errors[i] ?? 0)) ? f(value, x.errors[i] ?? 0) : 0));
  const terms = evaluateNode(node, [ones(a), ones(b)]);
  const reached = evaluateNode(node, [bad(a), ones(b)]);
  // The second factor of a convolution meets the zeros of a border, in other places than the oracle does: it reaches all.
  const reachedByB =
    node.kind === "matmul" ? evaluateNode(node, [ones(a), bad(b)]) : values.map(() => Number(bad(b).includes(1)));
  const magnitude = (value: number): number => Math.abs(value);
  const reach = (value: number, error: number): number => Math.abs(value) + error;
  const magnitudes = evaluateNode(node, [without(a, magnitude), without(b, magnitude)]);
  const wide = evaluateNode(node, [without(a, reach), without(b, reach)]);
  return values.map((value, i) => {
    if (reached[i] !== 0 || reachedByB[i] !== 0) return Infinity;
    const size = magnitudes[i] ?? NaN;
    return sumError(value, terms[i] ?? NaN, size, (wide[i] ?? NaN) - size, accuracy);
  });
}

/** A stand-in of the same shape: error arrays are f32 whatever the value's dtype. */
function asF32(node: Node): Node {
  return makeNode("input", [], { dtype: "f32", shape: node.shape, name: "errors" });
}

function reduceErrors(
  node: Node & { readonly kind: "reduce" },
  values: Float64Array,
  { values: x, errors }: Bounded,
  accuracy: Accuracy,
): Float64Array {
  const over = (op: "sum" | "max", elements: Float64Array): Float64Array =>
    evaluateNode(makeNode("reduce", [asF32(node.inputs[0])], { op, axes: node.attributes.axes }), [elements]);
  if (node.dtype !== "f32")
    return over(
      "max",
      errors.map((e) => uncertainIf(e === Infinity)),
    );
  const own = (elements: Float64Array): Float64Array => over(node.attributes.op, elements);
  const bounded = { values: x, errors };
  return node.attributes.op === "max"
    ? largestErrors(values, bounded, own, accuracy)
    : sumErrors(values, bounded, own, accuracy);
}

/** Errors of largest elements. `over`: the largest of other elements, below 0 of none. */
function largestErrors(
  values: Float64Array,
  { values: x, errors }: Bounded,
  over: (elements: Float64Array) => Float64Array,
  accuracy: Accuracy,
): Float64Array {
  const worst = over(errors);
  const special = over(x.map((value) => Number(!Number.isFinite(value))));
  return values.map((value, i) => {
    const most = worst[i] ?? 0;
    if (most === Infinity || (special[i] === 1 && (most !== 0 || !accuracy.specialValues))) return Infinity;
    return Number.isFinite(value) ? Math.max(most, 2 ** -149) : 0;
  });
}

function scatterErrors(
  node: NodeOf<"scatter">,
  values: Float64Array,
  [x, index]: readonly [Bounded, Bounded],
  accuracy: Accuracy,
): Float64Array {
  // A row that isn't known may be any.
  if (index.errors.includes(Infinity)) return values.map(() => Infinity);
  const stand = makeNode("scatter", [asF32(node.inputs[0]), node.inputs[1]], node.attributes);
  const over = (elements: Float64Array): Float64Array => evaluateNode(stand, [elements, index.values]);
  if (node.dtype !== "f32") return over(x.errors).map((error) => Math.max(0, error));
  return (node.attributes.op === "max" ? largestErrors : sumErrors)(values, x, over, accuracy);
}

/** Errors of sums of single elements. `over`: their sums of other elements. */
function sumErrors(
  values: Float64Array,
  { values: x, errors }: Bounded,
  over: (elements: Float64Array) => Float64Array,
  accuracy: Accuracy,
): Float64Array {
  const terms = over(x.map(() => 1));
  const special = over(x.map((value) => Number(!Number.isFinite(value))));
  const magnitudes = over(x.map(Math.abs));
  const spread = over(errors);
  return values.map((value, i) => {
    // A sum with NaN or infinities is what IEEE says in any order, unless finite terms may overflow on the way.
    if (special[i] !== 0) return spread[i] === 0 && accuracy.specialValues && safeBesideSpecial(x) ? 0 : Infinity;
    return sumError(value, terms[i] ?? NaN, magnitudes[i] ?? NaN, spread[i] ?? NaN, accuracy);
  });
}

/** Whether the finite elements can't overflow among themselves. */
function safeBesideSpecial(x: Float64Array): boolean {
  return x.reduce((sum, value) => sum + (Number.isFinite(value) ? Math.abs(value) : 0), 0) < 1e38;
}
