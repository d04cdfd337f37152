/** A graph of ONNX on the way: its nodes, each value by its name. What is asked for twice is made once. */
import { EvenkeelError } from "../../engine/index.ts";
import type { DType, TensorData } from "../../engine/graph/dtype.ts";
import type { Node, NodeOf } from "../../engine/graph/node.ts";
import type { Shape } from "../../engine/graph/shape.ts";
import { type ElementType, typeCodeOf } from "../format/elementTypes.ts";
import {
  type AttributeSpec,
  type GraphSpec,
  type NodeSpec,
  rawElements,
  type TensorSpec,
} from "../format/writeModel.ts";
import { fixedSize, isFixed, nameOf, type Size, type SizesOf } from "./sizes.ts";

/** Types of values within a model. Unsigned integers go as signed ones of the same bits, for which runtimes have all operators. */
export const typeOf = (dtype: DType): ElementType => (dtype === "u32" ? "i32" : dtype);

type Attributes = Readonly<Record<string, AttributeSpec>>;

/** What is the same in a model's graph and in those within it. */
export type ModelContext = {
  readonly sizesOf: SizesOf;
  /** An input whose first size is the open one, if there is one. */
  readonly freeInput: string | null;
  /** A name for a value that no other has. */
  readonly newName: (what: string) => string;
  /** The tensors that the file names. */
  readonly initializers: Map<Node, TensorSpec>;
};

export class GraphWriter {
  readonly context: ModelContext;
  readonly #outer: GraphWriter | null;
  readonly #nodes: NodeSpec[] = [];
  readonly #values = new Map<Node, string>();
  readonly #made = new Map<string, readonly string[]>();

  constructor(context: ModelContext, outer: GraphWriter | null = null) {
    this.context = context;
    this.#outer = outer;
  }

  /** A graph within this one, which sees its values. */
  inner(): GraphWriter {
    return new GraphWriter(this.context, this);
  }

  /** The name of a node's value. */
  value(node: Node): string {
    const name = this.#values.get(node) ?? this.#outer?.find(node) ?? this.context.initializers.get(node)?.name;
    if (name === undefined) throw new Error(`${nameOf(node)} is read before it is made`);
    return name;
  }

  /** The same, if it is there already. */
  find(node: Node): string | undefined {
    return this.#values.get(node) ?? this.#outer?.find(node);
  }

  setValue(node: Node, name: string): void {
    this.#values.set(node, name);
  }

  /** The result of an operator. */
  op(operator: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const [name] = this.ops(operator, inputs, attributes, 1);
    if (name === undefined) throw new Error(`${operator} has no result`);
    return name;
  }

  /** The results of an operator that has several. */
  ops(operator: string, inputs: readonly string[], attributes: Attributes, count: number): readonly string[] {
    const hasGraph = Object.values(attributes).some((spec) => "graph" in spec || "tensor" in spec);
    return this.#once(hasGraph ? undefined : JSON.stringify([operator, inputs, attributes]), () =>
      this.#add(operator, inputs, attributes, count),
    );
  }

  #add(operator: string, inputs: readonly string[], attributes: Attributes, count: number): readonly string[] {
    const outputs = Array.from({ length: count }, () => this.context.newName(operator.toLowerCase()));
    this.#nodes.push({ operator, inputs, outputs, attributes, name: outputs[0] ?? "" });
    return outputs;
  }

  /** The same value under a name of its own, as the results of graphs have. */
  copy(x: string, name: string): void {
    this.#nodes.push({ operator: "Identity", inputs: [x], outputs: [name], name });
  }

  #once(key: string | undefined, make: () => readonly string[]): readonly string[] {
    if (key === undefined) return make();
    const known = this.#known(key);
    if (known !== undefined) return known;
    const made = make();
    this.#made.set(key, made);
    return made;
  }

  #known(key: string): readonly string[] | undefined {
    return this.#made.get(key) ?? (this.#outer === null ? undefined : this.#outer.#known(key));
  }

  /** Elements that are known: of floats, integers (of u32: the bits) or truth values. */
  constant(type: ElementType, shape: Shape, elements: readonly number[]): string {
    const key = JSON.stringify([type, shape, elements.map((x) => (Object.is(x, -0) ? "-0" : String(x)))]);
    const [name] = this.#once(key, () => [this.array(type, shape, bytesOf(type, elements))]);
    return name ?? "";
  }

  /** Elements by their bytes. */
  array(type: ElementType, shape: Shape, bytes: Uint8Array): string {
    const value: AttributeSpec = { tensor: { name: "", type, shape, elements: rawElements(bytes) } };
    return this.op("Constant", [], { value });
  }

  /** A number of a dtype, as a scalar. */
  number(dtype: DType, value: number): string {
    return this.constant(typeOf(dtype), [], [dtype === "u32" ? value | 0 : value]);
  }

  cast(x: string, type: ElementType): string {
    return this.op("Cast", [x], { to: { int: typeCodeOf(type) } });
  }

  /** Numbers of a node, such as its shape, as sizes. */
  sizes(node: Node, read: (node: Node) => readonly number[]): readonly Size[] {
    return this.context.sizesOf(node, read);
  }

  shape(node: Node): readonly Size[] {
    return this.sizes(node, ({ shape }) => shape);
  }

  /** Sizes as a vector of 64-bit integers, which operators ask for. */
  vector(sizes: readonly Size[]): string {
    const numbers = (list: readonly number[]): string => this.constant("i64", [list.length], list);
    const fixed = numbers(sizes.map((size) => size.fixed));
    if (sizes.every(isFixed)) return fixed;
    const { freeInput } = this.context;
    if (freeInput === null) throw new Error("a size is open, but no input has it");
    const count = this.op("Shape", [freeInput], { start: { int: 0 }, end: { int: 1 } });
    const grown = this.op("Mul", [count, numbers(sizes.map(({ perFree }) => perFree))]);
    return sizes.every((size) => size.fixed === 0) ? grown : this.op("Add", [grown, fixed]);
  }

  /** A size as a scalar of i32. */
  count(size: Size): string {
    if (isFixed(size)) return this.number("i32", size.fixed);
    return this.cast(this.op("Squeeze", [this.vector([size])]), "i32");
  }

  /** A number of the program's own, which may be a size, too. */
  literal(node: NodeOf<"literal">): string {
    const [size = fixedSize(0)] = this.sizes(node, (of) => (of.kind === "literal" ? [of.attributes.value] : []));
    if (isFixed(size)) return this.number(node.dtype, size.fixed);
    return node.dtype === "f32" ? this.cast(this.count(size), "f32") : this.count(size);
  }

  /** An array full of one number. */
  filled(dtype: DType, sizes: readonly Size[], value: number): string {
    return this.op("Expand", [this.number(dtype, value), this.vector(sizes)]);
  }

  reshape(x: string, sizes: readonly Size[]): string {
    return this.op("Reshape", [x, this.vector(sizes)]);
  }

  /** Operands of an element-wise operator, which repeats them itself: views that do nothing else are left out where possible. */
  operands(node: Node): readonly string[] {
    const thin = node.inputs.map((input) => (input.kind === "expand" ? input.inputs[0] : input));
    const isNumber = (input: Node): boolean => literalBehind(input) !== undefined;
    const isWhole = node.shape.every(
      (size, axis) => size === 1 || thin.some((input) => !isNumber(input) && input.shape[axis] === size),
    );
    const hasRank = node.shape.length === 0 || thin.some((input) => !isNumber(input));
    return node.inputs.map((input, i) => {
      if (i === 0 && !(isWhole && hasRank)) return this.value(input);
      const literal = literalBehind(input);
      return literal === undefined ? this.value(thin[i] ?? input) : this.literal(literal);
    });
  }

  /** The graph, without what nothing needs. The outermost one has the weights. */
  finish(ends: Pick<GraphSpec, "inputs" | "outputs">): GraphSpec {
    const needed = new Set(ends.outputs.map(({ name }) => name));
    const kept: NodeSpec[] = [];
    for (const node of this.#nodes.toReversed()) {
      if (!node.outputs.some((name) => needed.has(name))) continue;
      for (const name of readBy(node)) needed.add(name);
      kept.push(node);
    }
    if (this.#outer !== null) return { nodes: kept.reverse(), ...ends };
    const initializers = [...this.context.initializers.values()].filter(({ name }) => needed.has(name));
    return { nodes: kept.reverse(), initializers, ...ends };
  }
}

/** The number that a value is full of, seen through views. */
function literalBehind(node: Node): NodeOf<"literal"> | undefined {
  let base = node;
  while (base.kind === "expand" || base.kind === "reshape" || base.kind === "permute") base = base.inputs[0];
  return base.kind === "literal" ? base : undefined;
}

/** The values that a node and the graphs within it read. */
function readBy({ inputs, attributes = {} }: NodeSpec): readonly string[] {
  const within = Object.values(attributes).flatMap((spec) =>
    "graph" in spec ? [...spec.graph.nodes.flatMap(readBy), ...spec.graph.outputs.map(({ name }) => name)] : [],
  );
  return [...inputs, ...within];
}

function bytesOf(type: ElementType, elements: readonly number[]): Uint8Array {
  switch (type) {
    case "f32":
      return new Uint8Array(Float32Array.from(elements).buffer);
    case "i32":
      return new Uint8Array(Int32Array.from(elements).buffer);
    case "u32":
      return new Uint8Array(Uint32Array.from(elements).buffer);
    case "i64":
      return new Uint8Array(BigInt64Array.from(elements, BigInt).buffer);
    case "bool":
      return Uint8Array.from(elements);
    default:
      throw new EvenkeelError("dtype", `exportOnnx: constants of type ${type} are not written.`);
  }
}

/** The bytes of a tensor's elements, as they are. */
export const bytesOfData = (data: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
