/** Walks a model's graph and makes the engine's tensors of it. */
import { EvenkeelError, messageOf, type Tensor } from "../../engine/index.ts";
import { quoteText } from "../../engine/io/index.ts";
import { type ElementType, isFloatType, isSignedType, isUnsignedType } from "../format/elementTypes.ts";
import type { OnnxData, OnnxGraph, OnnxNode } from "../format/model.ts";
import { operatorOf, readAttributes } from "../operators/index.ts";
import { isKnown, NodeCall, type OnRoundabout, placeOf, type Rebuild, type Result, type RunGraph } from "./nodeCall.ts";
import type { Operator } from "./operator.ts";
import { ListValue, TensorValue, type Value } from "./value.ts";
import { wrapped } from "./wrap.ts";

/** Values by their names, as a graph sees them: its own and those around it. */
export type Scope = Map<string, Value>;

/** What is the same for all nodes: versions of operators by their domains, and who is told of what costs more than it had to. */
export type BuildContext = { readonly opsets: ReadonlyMap<string, number>; readonly onRoundabout: OnRoundabout };

/**
 * The outputs of a graph.
 * @param scope values that are there already: the graph's inputs and what lies around it. The graph's own are added.
 * @throws EvenkeelError that names the node at which something is wrong.
 */
export function buildGraph(graph: OnnxGraph, scope: Scope, context: BuildContext): Value[] {
  for (const [name, initializer] of graph.initializers) {
    if (!scope.has(name)) scope.set(name, TensorValue.ofFile(initializer));
  }
  graph.nodes.forEach((node, i) => {
    buildNode(node, scope, context, (replaced) => {
      const again: Scope = new Map([...scope, ...replaced]);
      for (const before of graph.nodes.slice(0, i)) {
        buildNode(before, again, context, () => again);
        for (const [name, value] of replaced) again.set(name, value);
      }
      return again;
    });
  });
  return graph.outputs.map(({ name }) => valueOf(name, scope, "the graph's outputs"));
}

function valueOf(name: string, scope: Scope, reader: string): Value {
  const value = scope.get(name);
  if (value === undefined) {
    throw new EvenkeelError("file", `${reader}: ${quoteText(name)} is made by no node before, and is no input.`);
  }
  return value;
}

function buildNode(node: OnnxNode, scope: Scope, context: BuildContext, rebuild: Rebuild): void {
  const { opsets, onRoundabout } = context;
  const operator = operatorOf(node, opsets);
  const inputs = node.inputs.map((name) => (name === "" ? undefined : valueOf(name, scope, placeOf(node))));
  const run: RunGraph = (graph, given) => {
    const inner: Scope = new Map(scope);
    graph.inputs.forEach(({ name }, i) => {
      const value = given[i];
      if (value !== undefined) inner.set(name, value);
    });
    return buildGraph(graph, inner, context);
  };
  const call = new NodeCall(node, opsets.get(node.domain) ?? 0, inputs, { run, rebuild, onRoundabout });
  if (operator.roundabout !== undefined) call.tellRoundabout(operator.roundabout);
  const results = resultsOf(call, operator);
  node.outputs.forEach((name, i) => {
    if (name === "") return;
    const result = results[i];
    if (result === undefined) throw call.error("value", `output ${i} can't be computed.`);
    scope.set(name, valueOfResult(result, name, call, operator));
  });
}

function resultsOf(call: NodeCall, operator: Operator): readonly Result[] {
  const attributes = readAttributes(call.node, operator);
  const build = (of: NodeCall): readonly Result[] => {
    const made = operator.build(of, attributes);
    return Array.isArray(made) ? (made as readonly Result[]) : [made as Result];
  };
  try {
    return isMovement(call, operator) ? movedConstants(call, operator, build) : build(call);
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    const place = placeOf(call.node);
    if (cause.message.startsWith(place)) throw cause;
    throw new EvenkeelError(cause.code, `${place}: ${messageOf(cause)}`, { cause });
  }
}

const movedInputs = (call: NodeCall, { moves }: Operator): readonly number[] =>
  moves === "all" ? call.inputs.flatMap((value, i) => (value === undefined ? [] : [i])) : moves;

/** Whether a node moves constants that are no floats, and nothing else. */
function isMovement(call: NodeCall, operator: Operator): boolean {
  const moved = movedInputs(call, operator);
  return (
    moved.length > 0 &&
    call.inputs.every(isKnown) &&
    moved.every((i) => {
      const value = call.inputs[i];
      return value instanceof TensorValue && !isFloatType(value.type);
    })
  );
}

/** Results whose elements are those of constants: numbers stand for the elements while they are moved. */
function movedConstants(call: NodeCall, operator: Operator, build: (call: NodeCall) => readonly Result[]): Result[] {
  const moved = movedInputs(call, operator);
  const elements: (number | string)[] = [];
  const inputs = call.inputs.map((value, i) => {
    if (!(value instanceof TensorValue) || !moved.includes(i)) return value;
    const places = Int32Array.from({ length: value.data.length }, (_, k) => elements.length + k);
    for (const element of value.data) elements.push(element);
    return TensorValue.known(value.name, "i32", value.shape, places);
  });
  const type = call.value(moved[0] ?? 0).type;
  return build(call.with(inputs)).map((result) => {
    if (result === undefined || result instanceof ListValue) return result;
    const places = result instanceof TensorValue ? result : TensorValue.computed("", "i32", result, true);
    const data = places.numbers.map((place) => elements[place] ?? 0);
    return TensorValue.known("", type, places.shape, isNumbers(data) ? dataOf(data) : data.map(String));
  });
}

const isNumbers = (data: readonly (number | string)[]): data is readonly number[] =>
  data.every((element) => typeof element === "number");

const dataOf = (numbers: readonly number[]): OnnxData => Float64Array.from(numbers);

function valueOfResult(result: Tensor | Value, name: string, call: NodeCall, operator: Operator): Value {
  if (result instanceof ListValue) return result;
  if (result instanceof TensorValue) return result.renamed(name);
  const type = typeOfResult(call, result);
  const made = operator.wraps ? wrapped(result, type) : result;
  return TensorValue.computed(name, type, made, call.inputs.every(isKnown));
}

/** Results are of the type of the first input that could be: of several integers the largest stands for what no input has. */
function typeOfResult({ inputs }: NodeCall, { dtype }: Tensor): ElementType {
  const isSame: { readonly [D in Tensor["dtype"]]: (type: ElementType) => boolean } = {
    f32: isFloatType,
    i32: isSignedType,
    u32: isUnsignedType,
    bool: (type) => type === "bool",
  };
  const like = inputs.find((value) => value instanceof TensorValue && isSame[dtype](value.type));
  if (like instanceof TensorValue) return like.type;
  return ({ f32: "f32", i32: "i64", u32: "u64", bool: "bool" } as const)[dtype];
}
