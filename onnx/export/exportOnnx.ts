import { describeBytes, EvenkeelError, mapTree, treeLeaves, zeros } from "../../engine/index.ts";
import { quoteText } from "../../engine/io/index.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import type { Node } from "../../engine/graph/node.ts";
import { at } from "../../engine/graph/shape.ts";
import { type RuntimeCheck, runtimeChecks } from "../../engine/passes/runtimeChecks.ts";
import { trace } from "../../engine/program/trace.ts";
import { modelPieces, rawElements, type TensorSpec, type ValueSpec } from "../format/writeModel.ts";
import { joined } from "../format/writeWire.ts";
import type { NamedTensors } from "../importOnnx.ts";
import { newestOpset } from "../operators/index.ts";
import { bytesOfData, GraphWriter, type ModelContext, typeOf } from "./graphWriter.ts";
import { writeNodes } from "./primitives.ts";
import { isFixed, type SizesOf, sizesAcross, sizesAsTheyAre, type TraceAt } from "./sizes.ts";

/** How a function is written as a model. */
export type ExportOptions = {
  /** Names of its inputs: one for each tensor of the arguments, in their order. Default: where it stands, as `argument0.x`. */
  readonly inputs?: readonly string[];
  /** Names of its outputs: one for each tensor of the result, in their order. Default: `output0` and so on. */
  readonly outputs?: readonly string[];
  /** Tensors that the function uses without being given them, such as weights: those that it uses lie in the file by these names. */
  readonly weights?: NamedTensors;
  /** A size that is left open: the first of these inputs, by whatever name, such as `N`. Default: all sizes are those of the arguments. */
  readonly free?: { readonly name: string; readonly inputs: readonly string[] };
  /**
   * What becomes of the places at which the engine ends a run, such as an index out of range. `outputs`: each is a truth value more among the
   * outputs, named by what it means. `none`: they are left out, and what comes of such values is left open. Default `outputs`.
   */
  readonly checks?: "outputs" | "none";
  /** Version of ONNX's operators, 18 to 22. Default 18, which most programs know. */
  readonly opset?: number;
};

const oldestOpset = 18;

/** What a file of protocol buffers may have. */
const mostBytes = 2 ** 31 - 1;

/** Sizes at which a function is traced to see what follows from the open one. None is 1, which may be repeated. */
const triedSizes = [3, 5, 11] as const;

/**
 * Writes a function as a model in the ONNX format, as onnxruntime and others run it, and `importOnnx` reads it. All primitives of the
 * engine can be expressed: derivatives, random numbers and loops, too, so that a training step is a model like any other. Names of weights
 * are kept. Unsigned integers are computed as signed ones of the same bits.
 *
 * With a `free` size the function is traced at three sizes; the model has what they have in common, and sizes that grow evenly with it.
 * @param args what the function is called with: of tensors the shapes and dtypes alone are looked at
 * @throws EvenkeelError `value` for names that don't fit, weights that are no constants, an opset that isn't known, or a file of 2 GB or
 * more; `trace` if shapes depend on the free size in another way; as the function does
 * @example
 * ```ts
 * import { multiply, ones, type Tensor, tensor } from "evenkeel/engine";
 *
 * const w = tensor([2, 3]);
 * const bytes = exportOnnx((x: Tensor) => multiply(x, w), [ones([1, 2])], {
 *   inputs: ["x"],
 *   outputs: ["y"],
 *   weights: { w },
 *   free: { name: "N", inputs: ["x"] },
 * });
 * const { apply, inputs, parameters } = importOnnx(bytes);
 * console.log(inputs[0]?.shape, Object.keys(parameters)); // [ 'N', 2 ] [ 'w' ]
 * const { y } = apply(parameters, { x: tensor([[1, 1], [10, 20]]) });
 * console.log(await (y as Tensor).array()); // [ [ 2, 3 ], [ 20, 60 ] ]
 * ```
 */
export function exportOnnx<Args extends readonly unknown[]>(
  fn: (...args: Args) => unknown,
  args: Args,
  options: ExportOptions = {},
): Uint8Array {
  const { opset = oldestOpset, weights = {}, free, checks: wanted = "outputs" } = options;
  if (!Number.isInteger(opset) || opset < oldestOpset || opset > newestOpset) {
    throw new EvenkeelError(
      "value",
      `exportOnnx: opset is ${opset}, expected a whole number from ${oldestOpset} to ${newestOpset}.`,
    );
  }
  const inputNames =
    options.inputs ?? args.flatMap((arg, i) => treeLeaves(arg, `argument${i}`).map(({ path }) => path));
  const traced = tracesOf(fn, args, inputNames, free);
  const { graph } = traced;
  requireNames("inputs", inputNames, graph.inputs.length);
  const outputNames = options.outputs ?? graph.outputs.map((_, i) => `output${i}`);
  requireNames("outputs", outputNames, graph.outputs.length);
  const checks = wanted === "none" ? [] : traced.checks;
  const checkNames = checks.map(({ message }, i) => `check ${i}: ${message}`);
  const initializers = initializersOf(weights);
  const taken = new Set([...inputNames, ...outputNames, ...checkNames, ...Object.keys(weights)]);
  if (taken.size < inputNames.length + outputNames.length + checkNames.length + initializers.size) {
    throw new EvenkeelError("value", "exportOnnx: two of the inputs, outputs and weights have the same name.");
  }
  const context: ModelContext = {
    sizesOf: traced.sizesOf,
    freeInput: free?.inputs[0] ?? null,
    newName: nameMaker(taken),
    initializers,
  };
  const w = new GraphWriter(context);
  graph.inputs.forEach((input, i) => {
    const name = at(inputNames, i);
    w.setValue(input, input.dtype === "u32" ? w.cast(name, "i32") : name);
  });
  const all = [...graph.outputs, ...checks.map(({ failed }) => failed)];
  writeNodes(w, all);
  const names = [...outputNames, ...checkNames];
  all.forEach((output, i) => {
    const value = w.value(output);
    w.copy(output.dtype === "u32" ? w.cast(value, "u32") : value, at(names, i));
  });
  const described = (node: Node, name: string): ValueSpec => ({
    name,
    type: node.dtype,
    shape: shapeIn(w, node, free),
  });
  const spec = w.finish({
    inputs: graph.inputs.map((input, i) => described(input, at(inputNames, i))),
    outputs: all.map((output, i) => described(output, at(names, i))),
  });
  const pieces = modelPieces({ graph: spec, opset, producer: "evenkeel" });
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  if (size > mostBytes) {
    throw new EvenkeelError(
      "value",
      `exportOnnx: the model would have ${describeBytes(size)}, and a file of this format has less than 2 GiB. Export parts of it.`,
    );
  }
  return joined(pieces);
}

type Traced = { readonly graph: Graph; readonly checks: readonly RuntimeCheck[]; readonly sizesOf: SizesOf };

/** The function's graph, as it is with the arguments, or with what it has in common at several sizes of the free one. */
function tracesOf<Args extends readonly unknown[]>(
  fn: (...args: Args) => unknown,
  args: Args,
  names: readonly string[],
  free: ExportOptions["free"],
): Traced {
  const traceOf = (given: Args): Omit<Traced, "sizesOf"> => {
    const { graph } = trace(fn, given);
    return { graph, checks: runtimeChecks(graph) };
  };
  if (free === undefined) return { ...traceOf(args), sizesOf: sizesAsTheyAre };
  for (const name of free.inputs) {
    if (names.includes(name)) continue;
    throw new EvenkeelError("value", `exportOnnx: ${quoteText(name)}, whose first size is to be free, is no input.`);
  }
  if (free.inputs.length === 0) throw new EvenkeelError("value", "exportOnnx: no input has the free size.");
  const [first, second, ...others] = triedSizes.map((count) => {
    let place = 0;
    const sized = mapTree(args, ({ shape, dtype }) => {
      const name = names[place++] ?? "";
      if (!free.inputs.includes(name)) return zeros(shape, dtype);
      if (shape.length > 0) return zeros([count, ...shape.slice(1)], dtype);
      throw new EvenkeelError("value", `exportOnnx: ${quoteText(name)} is a scalar, and has no first size to be free.`);
    });
    return { count, ...traceOf(sized) };
  }) as readonly (Omit<Traced, "sizesOf"> & { readonly count: number })[];
  if (first === undefined || second === undefined) throw new Error("fewer than two sizes are tried");
  const outputsOf = ({ count, graph, checks }: typeof first): TraceAt => ({
    count,
    outputs: [...graph.outputs, ...checks.map(({ failed }) => failed), ...graph.inputs],
  });
  const sizesOf = sizesAcross([outputsOf(first), outputsOf(second), ...others.map(outputsOf)]);
  const checks = first.checks.map(({ failed, message }, i) => {
    return { failed, message: inCommon(message, second.checks[i]?.message ?? message, free.name) };
  });
  return { graph: first.graph, checks, sizesOf };
}

/** A message about sizes, with f(N) for those that follow from the open one. */
function inCommon(message: string, atAnother: string, name: string): string {
  const others = atAnother.split(/\b/);
  return message
    .split(/\b/)
    .map((word, i) => (word === others[i] ? word : `f(${name})`))
    .join("");
}

function requireNames(what: string, names: readonly string[], count: number): void {
  if (names.length !== count) {
    throw new EvenkeelError("value", `exportOnnx: ${names.length} names of ${what} were given for ${count}.`);
  }
  if (names.includes("")) throw new EvenkeelError("value", `exportOnnx: one of the ${what} has no name.`);
}

function initializersOf(weights: NamedTensors): Map<Node, TensorSpec> {
  return new Map(
    Object.entries(weights).map(([name, { node }]) => {
      if (node.kind !== "constant") {
        throw new EvenkeelError(
          "value",
          `exportOnnx: weight ${quoteText(name)} is computed. Give one that has values: tensor(await x.data(), { shape: x.shape }).`,
        );
      }
      const { dtype, shape, data } = node.attributes;
      return [node, { name, type: typeOf(dtype), shape, elements: rawElements(bytesOfData(data)) }];
    }),
  );
}

/** Names that are not taken: what a value is, and a number. */
function nameMaker(taken: Set<string>): (what: string) => string {
  let count = 0;
  return (what) => {
    for (;;) {
      const name = `${what}_${count++}`;
      if (taken.has(name)) continue;
      return name;
    }
  };
}

/** The sizes of an input or output: of those that are open the free one's name, and of others that follow from it nothing. */
function shapeIn(w: GraphWriter, node: Node, free: ExportOptions["free"]): ValueSpec["shape"] {
  return w.shape(node).map((size) => {
    if (isFixed(size)) return size.fixed;
    return size.perFree === 1 && size.fixed === 0 ? (free?.name ?? null) : null;
  });
}
