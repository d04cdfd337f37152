/** What an operator sees of the node that it is used for. */
import { EvenkeelError, type ErrorCode, type Shape, type Tensor } from "../../engine/index.ts";
import { quoteText } from "../../engine/io/index.ts";
import type { ElementType } from "../format/elementTypes.ts";
import type { OnnxData, OnnxGraph, OnnxNode } from "../format/model.ts";
import { ListValue, TensorValue, type Value } from "./value.ts";

/** What an operator gives for one output: a tensor, whose type follows from the inputs', or a value that says its own. */
export type Result = Tensor | Value | undefined;

/** Runs a graph that a node has as an attribute, with values for its inputs; what lies around the node is visible there. */
export type RunGraph = (graph: OnnxGraph, inputs: readonly (Value | undefined)[]) => Value[];

/** What the graph's values before the node are if some of them are replaced by others: all values by name. */
export type Rebuild = (replaced: ReadonlyMap<string, Value>) => ReadonlyMap<string, Value>;

/** Told where something costs more than it had to, with the node. */
export type OnRoundabout = (what: string) => void;

type Surroundings = { readonly run: RunGraph; readonly rebuild: Rebuild; readonly onRoundabout: OnRoundabout };

/** A node with the values of its inputs. */
export class NodeCall {
  readonly node: OnnxNode;
  /** The version of its operators that the model asks for. */
  readonly opset: number;
  readonly inputs: readonly (Value | undefined)[];
  readonly run: RunGraph;
  readonly rebuild: Rebuild;
  readonly #onRoundabout: OnRoundabout;

  constructor(
    node: OnnxNode,
    opset: number,
    inputs: readonly (Value | undefined)[],
    { run, rebuild, onRoundabout }: Surroundings,
  ) {
    this.node = node;
    this.opset = opset;
    this.inputs = inputs;
    this.run = run;
    this.rebuild = rebuild;
    this.#onRoundabout = onRoundabout;
  }

  /** The same node with other inputs. */
  with(inputs: readonly (Value | undefined)[]): NodeCall {
    const { run, rebuild } = this;
    return new NodeCall(this.node, this.opset, inputs, { run, rebuild, onRoundabout: this.#onRoundabout });
  }

  /** An error that says at which node. */
  error(code: ErrorCode, problem: string): EvenkeelError {
    return new EvenkeelError(code, `${placeOf(this.node)}: ${problem}`);
  }

  /** Says that the results are put together in a way that costs more than it had to. */
  tellRoundabout(what: string): void {
    this.#onRoundabout(`${placeOf(this.node)}: ${what}`);
  }

  /** Whether input `i` is there. */
  has(i: number): boolean {
    return this.inputs[i] !== undefined;
  }

  /** Whether somebody reads output `i`. */
  wants(i: number): boolean {
    return (this.node.outputs[i] ?? "") !== "";
  }

  /** Input `i`, which must be a tensor. */
  value(i: number): TensorValue {
    const value = this.inputs[i];
    if (value === undefined) throw this.error("value", `input ${i} is missing.`);
    if (value instanceof ListValue) throw this.error("value", `input ${i} is a sequence, expected a tensor.`);
    return value;
  }

  /** Input `i`, which must be a sequence. */
  list(i: number): readonly TensorValue[] {
    const value = this.inputs[i];
    if (!(value instanceof ListValue)) throw this.error("value", `input ${i} is no sequence.`);
    return value.items;
  }

  /** Input `i` as a tensor. */
  tensor(i: number): Tensor {
    return this.value(i).tensor;
  }

  optionalTensor(i: number): Tensor | undefined {
    return this.has(i) ? this.tensor(i) : undefined;
  }

  /** All inputs as tensors. @throws EvenkeelError `value` if there are none. */
  tensors(): readonly [Tensor, ...Tensor[]] {
    const [first, ...rest] = this.inputs.flatMap((value, i) => (value === undefined ? [] : [this.tensor(i)]));
    if (first === undefined) throw this.error("value", "has no inputs.");
    return [first, ...rest];
  }

  /** Input `i` as numbers: what shapes depend on. @throws EvenkeelError `trace` if it is only known when the program runs. */
  numbers(i: number): readonly number[] {
    const value = this.value(i);
    if (value.isKnown) return value.numbers;
    throw this.error(
      "trace",
      `input ${i} (${quoteText(value.name)}) decides about shapes and must be known when the program is built, but it is computed from ` +
        "values that are not: shapes that depend on data can't be expressed.",
    );
  }

  optionalNumbers(i: number): readonly number[] | undefined {
    return this.has(i) ? this.numbers(i) : undefined;
  }

  /** The only number of input `i`. */
  number(i: number): number {
    const numbers = this.numbers(i);
    const [first] = numbers;
    if (first === undefined || numbers.length > 1) {
      throw this.error("shape", `input ${i} has ${numbers.length} elements, expected one.`);
    }
    return first;
  }

  /** A value of a type that no input has. */
  typed(type: ElementType, made: Tensor): TensorValue {
    return TensorValue.computed("", type, made, this.inputs.every(isKnown));
  }

  /** A value whose elements are known. */
  known(type: ElementType, shape: Shape, data: OnnxData): TensorValue {
    return TensorValue.known("", type, shape, data);
  }
}

/** Whether an input, if it is there, depends on constants alone. */
export function isKnown(value: Value | undefined): boolean {
  if (value instanceof ListValue) return value.items.every(isKnown);
  return value?.isKnown ?? true;
}

/** A node for messages: `Resize "up1"`. */
export function placeOf({ operator, domain, name, outputs }: OnnxNode): string {
  const full = domain === "" ? operator : `${domain}.${operator}`;
  const called = name === "" ? `that makes ${quoteText(outputs[0] ?? "")}` : quoteText(name);
  return `${quoteText(full).slice(1, -1)} ${called}`;
}
