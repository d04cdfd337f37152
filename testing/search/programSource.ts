/** A graph as a program that can be pasted. */
import type { TensorData } from "../../engine/graph/dtype.ts";
import { topologicalOrder } from "../../engine/graph/graph.ts";
import { neutralElement } from "../../engine/graph/neutralElement.ts";
import type { Node, NodeOf } from "../../engine/graph/node.ts";
import { at, type Shape } from "../../engine/graph/shape.ts";
import type { GraphCase } from "../graphCase.ts";

/**
 * A graph and its inputs as TypeScript: the inputs as constants `x0`, `x1`, ..., and a function `program` of them that gives the list of
 * the graph's outputs, written in operations of `evenkeel/engine`.
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const sum = await graphCase((x: Tensor, y: Tensor) => x.add(y), tensor([1, 2]), tensor([3, 4]));
 * console.log(programSource(sum).split("\n")[1]); // const x0 = tensor([1, 2], { shape: [2], dtype: "f32" });
 * ```
 */
export function programSource({ graph, inputs }: GraphCase): string {
  const used = new Set<string>(["tensor", "type Tensor"]);
  const call: Call = (name, ...args) => {
    used.add(name);
    return `${name}(${args.join(", ")})`;
  };
  const inputNames = new Map<Node, string>(graph.inputs.map((input, i) => [input, `x${i}`]));
  const { lines, results } = statements(graph.outputs, inputNames, "v", "  ", call);
  const given = graph.inputs.map((input, i) => {
    const { dtype, shape } = input;
    return `const x${i} = ${tensorText(at(inputs, i), shape, dtype)};`;
  });
  const parameters = graph.inputs.map((_, i) => `x${i}: Tensor`).join(", ");
  return [
    `import { ${[...used].sort().join(", ")} } from "evenkeel/engine";`,
    ...given,
    `const program = (${parameters}) => {`,
    ...lines,
    `  return [${results.join(", ")}];`,
    "};",
  ].join("\n");
}

/** Writes a call, and notes what has to be imported for it. */
type Call = (name: string, ...args: readonly string[]) => string;

/** What computes nodes from those that have names, a line each, and what they are called. New names begin with `prefix`. */
function statements(
  outputs: readonly Node[],
  given: ReadonlyMap<Node, string>,
  prefix: string,
  indent: string,
  call: Call,
): { readonly lines: readonly string[]; readonly results: readonly string[] } {
  const names = new Map(given);
  const nameOf = (node: Node): string => names.get(node) ?? "undefined";
  const lines = topologicalOrder(outputs, new Set(given.keys())).flatMap((node) => {
    if (names.has(node)) return [];
    const inputs = node.inputs.map(nameOf);
    const text = node.kind === "loop" ? loop(node, inputs, indent, call) : expression(node, inputs, call);
    const name = `${prefix}${names.size - given.size}`;
    names.set(node, name);
    return [`${indent}const ${name} = ${text}; // ${node.dtype} ${list(node.shape)}`];
  });
  return { lines, results: outputs.map(nameOf) };
}

/** A result of a loop, as that of a `scan` which gives it alone. */
function loop(
  { attributes: { loop: own, result } }: NodeOf<"loop">,
  inputs: readonly string[],
  indent: string,
  call: Call,
): string {
  const { id, body, carried, rows, length, reverse } = own;
  const names = body.inputs.map((_, i) =>
    i < carried ? `carry${id}_${i}` : i < carried + rows ? `row${id}_${i - carried}` : (inputs[i] ?? "undefined"),
  );
  const told =
    result.kind === "any"
      ? result.node
      : at(
          result.kind === "history" ? body.inputs : body.outputs,
          result.kind === "stacked" ? carried + result.index : result.index,
        );
  const given = new Map(body.inputs.map((input, i) => [input, at(names, i)]));
  const inner = statements([...body.outputs.slice(0, carried), told], given, `v${id}_`, `${indent}  `, call);
  const [carriedNames, rowNames] = [names.slice(0, carried), names.slice(carried, carried + rows)];
  const tree = (keys: readonly string[], values: readonly string[]): string =>
    `{ ${keys.map((key, i) => `${key}: ${at(values, i)}`).join(", ")} }`;
  const text = call(
    "scan",
    [
      `({ ${carriedNames.join(", ")} }${rows === 0 ? "" : `, { ${rowNames.join(", ")} }`}) => {`,
      ...inner.lines,
      `${indent}  return { carry: ${tree(carriedNames, inner.results)}, y: ${at(inner.results, carried)} };`,
      `${indent}}`,
    ].join("\n"),
    tree(carriedNames, inputs),
    rows === 0 ? "null" : tree(rowNames, inputs.slice(carried)),
    `{ length: ${length}, reverse: ${reverse} }`,
  );
  if (result.kind === "any") return call("any", `${text}.ys`);
  return result.kind === "carry" ? `${text}.carry.${at(carriedNames, result.index)}` : `${text}.ys`;
}

const numberText = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));
const list = (values: Iterable<number>): string => `[${Array.from(values, numberText).join(", ")}]`;

function tensorText(data: TensorData, shape: Shape, dtype: string): string {
  return `tensor(${list(data)}, { shape: ${list(shape)}, dtype: "${dtype}" })`;
}

/** What gives a node's value, from the names of its inputs. */
function expression(node: Exclude<Node, NodeOf<"loop">>, inputs: readonly string[], call: Call): string {
  switch (node.kind) {
    case "input":
      throw new Error(`${node.attributes.name} is no input of the graph`);
    case "constant":
      return tensorText(node.attributes.data, node.shape, node.dtype);
    case "literal":
      return call("scalar", numberText(node.attributes.value), `"${node.dtype}"`);
    case "iota":
      return call("iota", list(node.shape), String(node.attributes.axis), `"${node.dtype}"`);
    // Operations on single elements are called as primitives are.
    case "unary":
    case "binary":
    case "compare":
      return call(node.attributes.op, ...inputs);
    case "select":
      return call("where", ...inputs);
    case "cast":
      return call("cast", ...inputs, `"${node.dtype}"`);
    case "shift":
      return call(
        node.attributes.direction === "left" ? "shiftLeft" : "shiftRight",
        ...inputs,
        `${node.attributes.amount}`,
      );
    case "threefry": {
      const [key0, key1, counter0, counter1] = inputs;
      return call("threefry", `${node.attributes.word}`, `[${key0}, ${key1}]`, `[${counter0}, ${counter1}]`);
    }
    case "reduce": {
      const name = node.attributes.op === "sum" ? "reduceSum" : "reduceMax";
      return call(name, ...inputs, `{ axes: ${list(node.attributes.axes)}, keepAxes: true }`);
    }
    case "reshape":
      return call("reshape", ...inputs, list(node.shape));
    case "permute":
      return call("permute", ...inputs, list(node.attributes.order));
    case "expand":
      return call("broadcastTo", ...inputs, list(node.shape));
    case "slice":
      return call("slice", ...inputs, `[${rangesOf(node).join(", ")}]`);
    case "pad": {
      const { low, high, value } = node.attributes;
      const widths = low.map((before, axis) => list([before, at(high, axis)]));
      return call("pad", ...inputs, `[${widths.join(", ")}]`, numberText(value));
    }
    case "concat":
      return call("concat", `[${inputs.join(", ")}]`, `${node.attributes.axis}`);
    case "gather":
      return call("takeAlongAxis", ...inputs, `${node.attributes.axis}`);
    case "scatter": {
      const [values = "", index = ""] = inputs;
      const { op, axis } = node.attributes;
      const nothing = call("full", list(node.shape), numberText(neutralElement(op, node.dtype)), `"${node.dtype}"`);
      return call("scatterAlongAxis", nothing, index, values, `${axis}`, op === "sum" ? `"add"` : `"max"`);
    }
    case "matmul":
      return call("matmul", ...inputs);
    case "conv":
      return convolution(node, inputs, call);
    case "stopGradient":
      return call("stopGradient", ...inputs);
    case "ruled":
      return node.attributes.rule.kind === "surrogate" ? call("withDerivativeOf", ...inputs) : at(inputs, 0);
    // The same values; what else they say is no operation.
    case "check":
    case "barrier":
      return at(inputs, 0);
  }
}

/** The ranges of a slice: a whole axis is null. */
function rangesOf({ attributes: { start, size, step }, inputs: [x] }: NodeOf<"slice">): string[] {
  return x.shape.map((extent, axis) => {
    const [from, count, by] = [at(start, axis), at(size, axis), at(step, axis)];
    if (from === 0 && count === extent && by === 1) return "null";
    if (count === 0) return "[0, 0]";
    const stop = from + count * by;
    // A range that goes backwards to the first element has no number for its end: -1 would be the last one.
    if (by < 0) return `[${from}, ${stop < 0 ? "undefined" : stop}, ${by}]`;
    return by === 1 ? list([from, stop]) : list([from, Math.min(stop, extent), by]);
  });
}

/** A convolution, or as one of its derivatives, which no operation is called after. */
function convolution(
  { attributes: { role, geometry }, shape }: NodeOf<"conv">,
  [a = "", b = ""]: readonly string[],
  call: Call,
): string {
  const { inputSize, kernelSize, outputSize, stride, padding, dilation, groups } = geometry;
  const sides = ([0, 1] as const).map((axis) => {
    const reach = (outputSize[axis] - 1) * stride[axis] + dilation[axis] * (kernelSize[axis] - 1) + 1;
    return list([padding[axis], Math.max(0, reach - padding[axis] - inputSize[axis])]);
  });
  const options = `{ stride: ${list(stride)}, padding: [${sides.join(", ")}], dilation: ${list(dilation)}, groups: ${groups} }`;
  if (role === "forward") return call("conv2d", a, b, options);
  // The derivative is linear in its cotangent and has nothing of the point at which it is taken.
  const [fn, cotangent] =
    role === "inputGradient"
      ? [`(x: Tensor) => ${call("conv2d", "x", b, options)}`, a]
      : [`(w: Tensor) => ${call("conv2d", a, "w", options)}`, b];
  return `${call("vjp", fn, call("zeros", list(shape)))}.pullback(${cotangent})`;
}
