import { EvenkeelError, isTensor, type Tensor } from "../engine/index.ts";
import { quoteText } from "../engine/io/index.ts";
import { buildGraph, type Scope } from "./build/graphBuilder.ts";
import { describeInput, type InputDescription, inputValues, type ModelInput } from "./build/inputs.ts";
import type { OnRoundabout } from "./build/nodeCall.ts";
import { graphsOf, structuralValues } from "./build/structure.ts";
import { ListValue, TensorValue } from "./build/value.ts";
import { type ElementType, isFloatType } from "./format/elementTypes.ts";
import type { OnnxGraph, OnnxModel, OnnxTensor } from "./format/model.ts";
import { readModel } from "./format/readModel.ts";
import type { ExternalData } from "./format/readTensor.ts";
import { describeUnknown, findOperator, newestOpset, operatorOf, readAttributes } from "./operators/index.ts";

/** How a model is read. */
export type ImportOptions = {
  /** What messages call the file. Default: "ONNX model". */
  readonly path?: string;
  /** The bytes of files beside it in which elements lie, by the names that the model calls them. */
  readonly externalData?: ExternalData;
  /**
   * Told, whenever `apply` builds the model's graph, of each node that costs more than it had to, once or more often: by an operation that the
   * engine lacks, or a loop whose steps had to be written out.
   */
  readonly onRoundabout?: OnRoundabout;
};

/** Tensors of a model by name, as it calls them. */
export type NamedTensors = { readonly [name: string]: Tensor };

/** What a model gives by the names of its outputs. A sequence is an array. */
export type ModelOutputs = { readonly [name: string]: Tensor | readonly Tensor[] };

/** An output of a model. */
export type OutputDescription = { readonly name: string; readonly type: ElementType; readonly isSequence: boolean };

/** A model as a function of parameters and inputs. */
export type ImportedModel = {
  readonly inputs: readonly InputDescription[];
  readonly outputs: readonly OutputDescription[];
  /**
   * Its weights and other arrays of floats, by the names that the model has for them. They can be trained, stored and replaced by
   * others of the same shapes. Running statistics of batch normalizations are among them, see `statistics`, and so are constants that an
   * exporter wrote as if they were weights, mostly scalars: leave these out of what you train.
   */
  readonly parameters: NamedTensors;
  /** The names of those parameters that are running statistics: they are not for optimizers. */
  readonly statistics: readonly string[];
  /** What is otherwise than in the file, in a line each: types that others stand for. */
  readonly notices: readonly string[];
  /**
   * The model's outputs, by name. It is a pure function, to be compiled, differentiated, and called in others. Sizes that the model leaves
   * open are those of the inputs.
   * @param inputs a tensor for each input; plain numbers (nested arrays) for those that decide about shapes
   * @throws EvenkeelError that names the input or the node at which something doesn't fit
   */
  readonly apply: (parameters: NamedTensors, inputs: Readonly<Record<string, ModelInput>>) => ModelOutputs;
};

/**
 * Reads a model in the ONNX format, as PyTorch, TensorFlow and others write it, and makes a function of it that can be compiled and
 * differentiated. What shapes depend on is worked out while that is built; nothing is left out silently.
 *
 * ```ts
 * const model = importOnnx(bytes);
 * const program = compile(model.apply);
 * const { logits } = await program(model.parameters, { image });
 * ```
 * @throws EvenkeelError `file` if the file is damaged or can't be read, `value` for operators or attributes that aren't known here.
 * @example
 * ```ts
 * import { isTensor, tensor } from "evenkeel/engine";
 *
 * // A model of one Relu, from x to y.
 * const base64 = "CAg6MwoMCgF4EgF5IgRSZWx1EgFnWg8KAXgSCgoICAESBAoCCAJiDwoBeRIKCggIARIECgIIAkICEBE=";
 * const { apply, parameters } = importOnnx(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
 * const { y } = apply(parameters, { x: tensor([-1, 2]) });
 * if (isTensor(y)) console.log(await y.array()); // [ 0, 2 ]
 * ```
 */
export function importOnnx(bytes: Uint8Array, options: ImportOptions = {}): ImportedModel {
  const path = options.path ?? "ONNX model";
  const model = readModel(bytes, path, options.externalData ?? new Map());
  try {
    return importedModel(model, options.onRoundabout ?? (() => undefined));
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}

function importedModel({ graph, opsets }: OnnxModel, onRoundabout: OnRoundabout): ImportedModel {
  checkOperators(graph, opsets);
  const structural = structuralValues(graph, opsets);
  const inputs = graph.inputs
    .filter(({ name }) => !graph.initializers.has(name))
    .map((info) => describeInput(info, structural.has(info.name)));
  const outputs = graph.outputs.map(({ name, type, what, isSequence }): OutputDescription => {
    if (type !== null && type !== "string") return { name, type, isSequence };
    throw new EvenkeelError(
      "file",
      `output ${quoteText(name)} is ${type === null ? what : "a tensor of texts"}, which can't be computed.`,
    );
  });
  const trained = [...graph.initializers.values()].filter(
    ({ name, type }) => isFloatType(type) && !structural.has(name),
  );
  const parameters = Object.fromEntries(trained.map((tensor) => [tensor.name, TensorValue.ofFile(tensor).tensor]));
  const apply: ImportedModel["apply"] = (given, of) => {
    const scope: Scope = inputValues(inputs, of);
    for (const tensor of trained) scope.set(tensor.name, parameterValue(tensor, given));
    const results = buildGraph(graph, scope, { opsets, onRoundabout });
    return Object.fromEntries(
      results.map((value, i) => [
        outputs[i]?.name ?? "",
        value instanceof ListValue ? value.items.map(({ tensor }) => tensor) : value.tensor,
      ]),
    );
  };
  const types = [...inputs, ...outputs, ...graph.initializers.values()].map(({ type }) => type);
  return {
    inputs,
    outputs,
    parameters,
    statistics: statisticsOf(graph).filter((name) => Object.hasOwn(parameters, name)),
    notices: noticesOf(new Set(types)),
    apply,
  };
}

/** @throws EvenkeelError `value` that lists all operators that aren't known, and `file` for versions that aren't. */
function checkOperators(graph: OnnxGraph, opsets: ReadonlyMap<string, number>): void {
  const version = opsets.get("") ?? 0;
  if (version > newestOpset) {
    throw new EvenkeelError(
      "file",
      `uses version ${version} of ONNX's operators; versions up to ${newestOpset} are known. Export it with that opset.`,
    );
  }
  const unknown = new Set<string>();
  const check = ({ nodes }: OnnxGraph): void => {
    for (const node of nodes) {
      if (findOperator(node, opsets) === undefined) unknown.add(describeUnknown(node));
      for (const inner of graphsOf(node)) check(inner);
    }
  };
  check(graph);
  if (unknown.size > 0) {
    const names = [...unknown].join(", ");
    throw new EvenkeelError(
      "value",
      `uses operators that are not known in version ${version}: ${names}. Export it without them.`,
    );
  }
  const checkAttributes = ({ nodes }: OnnxGraph): void => {
    for (const node of nodes) {
      readAttributes(node, operatorOf(node, opsets));
      for (const inner of graphsOf(node)) checkAttributes(inner);
    }
  };
  checkAttributes(graph);
}

function parameterValue({ name, type, shape }: OnnxTensor, given: NamedTensors): TensorValue {
  const value = Object.hasOwn(given, name) ? given[name] : undefined;
  if (!isTensor(value)) {
    throw new EvenkeelError(
      "value",
      `parameter ${quoteText(name)} is missing: give the model's own parameters, or others by the same names.`,
    );
  }
  if (value.dtype !== "f32" || value.shape.join() !== shape.join()) {
    const [got, wanted] = [`${value.dtype} [${value.shape.join(", ")}]`, `f32 [${shape.join(", ")}]`];
    throw new EvenkeelError("shape", `parameter ${quoteText(name)} is ${got}, expected ${wanted}.`);
  }
  return TensorValue.computed(name, type, value, false);
}

/** The means and variances that batch normalizations are given. */
function statisticsOf({ nodes }: OnnxGraph): string[] {
  return nodes.flatMap(({ operator, inputs }) => (operator === "BatchNormalization" ? inputs.slice(3, 5) : []));
}

function noticesOf(types: ReadonlySet<ElementType>): string[] {
  const has = (...wanted: ElementType[]): boolean => wanted.some((type) => types.has(type));
  return [
    ...(has("f64") ? ["64-bit floats are computed as 32-bit ones."] : []),
    ...(has("f16", "bf16")
      ? ["16-bit floats are computed as 32-bit ones, and rounded where the model casts to f16 only."]
      : []),
    ...(has("i64", "u64") ? ["64-bit integers are computed as 32-bit ones; constants are checked to fit."] : []),
  ];
}
