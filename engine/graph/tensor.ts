import { EvenkeelError } from "../errors.ts";
import { allocateData, checkElement, type DType, dtypeOfData, type TensorData } from "./dtype.ts";
import { makeNode } from "./graph.ts";
import type { Node } from "./node.ts";
import { at, checkShape, formatShape, rowMajorStrides, type Shape, sizeOf } from "./shape.ts";
import { knownData } from "./uniform.ts";

/** Numbers nested as deep as a tensor's rank. Booleans stand for bool elements. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** Reads a tensor's value; set by `engine/program/evaluate` so that the graph knows nothing of devices. */
type Evaluator = (tensor: Tensor) => Promise<TensorData>;
let evaluator: Evaluator | undefined;

/** @internal */
export function setEvaluator(evaluate: Evaluator): void {
  evaluator = evaluate;
}

/**
 * An immutable value: a handle on a node of a program's graph. It owns no memory. Made outside of `compile` it is lazy:
 * nothing is computed until `data`, `array` or `item` asks, and then once.
 *
 * Operations are functions (`add(x, y)`); the most used are methods too (`x.add(y)`).
 */
export class Tensor {
  /** @internal */
  readonly node: Node;
  #data: Promise<TensorData> | undefined;

  /** @internal Use `tensor`, `zeros` and the operations. */
  constructor(node: Node) {
    this.node = node;
  }

  get shape(): Shape {
    return this.node.shape;
  }

  get dtype(): DType {
    return this.node.dtype;
  }

  /** Number of axes. */
  get rank(): number {
    return this.node.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.node.shape);
  }

  /**
   * The elements, row-major, as Float32Array, Int32Array, Uint32Array, or Uint8Array (0 and 1) for bool. Computed on
   * the default device at the first call, remembered afterwards. Don't write into it.
   * @throws EvenkeelError `trace` inside a function that is being compiled: values don't exist yet there.
   */
  data(): Promise<TensorData> {
    if (evaluator === undefined) throw new Error("the engine's evaluator is not installed; import engine/index.ts");
    return this.dataBy(evaluator);
  }

  /** @internal `data`, computed by `evaluate` if it isn't known yet. A failure is not remembered. */
  dataBy(evaluate: Evaluator): Promise<TensorData> {
    if (this.#data !== undefined) return this.#data;
    const known = knownData(this.node);
    const data = known === undefined ? evaluate(this) : Promise.resolve(known);
    this.#data = data;
    data.catch(() => {
      if (this.#data === data) this.#data = undefined;
    });
    return data;
  }

  /** The elements as nested arrays. */
  async array(): Promise<NestedArray> {
    const data = await this.data();
    const strides = rowMajorStrides(this.shape);
    const nest = (axis: number, offset: number): NestedArray => {
      if (axis === this.rank) {
        const value = at(data as ArrayLike<number> as readonly number[], offset);
        return this.dtype === "bool" ? value !== 0 : value;
      }
      const stride = at(strides, axis);
      return Array.from({ length: at(this.shape, axis) }, (_, i) => nest(axis + 1, offset + i * stride));
    };
    return nest(0, 0);
  }

  /** The only element of a tensor of size 1. @throws EvenkeelError `shape` if there are more or none. */
  async item(): Promise<number> {
    if (this.size !== 1) {
      throw new EvenkeelError(
        "shape",
        `item: ${formatShape(this.shape)} has ${this.size} elements, expected exactly 1. Use data() or array().`,
      );
    }
    return (await this.data())[0] as number;
  }

  toString(): string {
    return `Tensor(${this.dtype} ${formatShape(this.shape)})`;
  }
}

/** What operations take in place of a tensor: a number becomes a scalar of the other operand's dtype. */
export type TensorLike = Tensor | number;

export type TensorOptions = { readonly shape?: Shape; readonly dtype?: DType };

function shapeOfNested(value: NestedArray): number[] {
  const shape: number[] = [];
  for (let level: NestedArray | undefined = value; Array.isArray(level); level = level[0] as NestedArray | undefined) {
    shape.push(level.length);
  }
  return shape;
}

/** Appends the elements of `value`, found at `place` of the array that was given, in row-major order. */
function flattenNested(value: NestedArray, shape: Shape, place: readonly number[], into: number[]): void {
  const [length, ...rest] = shape;
  const where = (): string => (place.length === 0 ? "the array" : `element [${place.join("][")}]`);
  const ragged = (got: string, wanted: string): EvenkeelError =>
    new EvenkeelError(
      "shape",
      `tensor: ragged array: ${where()} is ${got} where ${wanted} was expected, as in the elements before.`,
    );
  if (Array.isArray(value)) {
    if (value.length !== length) {
      throw ragged(`an array of ${value.length}`, length === undefined ? "a number" : `an array of ${length}`);
    }
    value.forEach((element: NestedArray, i) => flattenNested(element, rest, [...place, i], into));
    return;
  }
  if (typeof value !== "number" && typeof value !== "boolean") {
    throw new EvenkeelError("value", `tensor: ${where()} is ${String(value)}, expected a number or boolean.`);
  }
  if (length !== undefined) throw ragged("a number", `an array of ${length}`);
  into.push(Number(value));
}

function firstElement(value: NestedArray): number | boolean | undefined {
  let element: NestedArray | undefined = value;
  while (Array.isArray(element)) element = element[0] as NestedArray | undefined;
  return element as number | boolean | undefined;
}

/**
 * A tensor of host values: a number, nested arrays, or a typed array with `shape` (default: one axis).
 * dtype follows from the typed array, is bool for booleans and f32 otherwise. Typed arrays of the right dtype are
 * kept, not copied: don't write into them afterwards.
 * @throws EvenkeelError `shape` for ragged arrays or a shape of another size; `value` for elements the dtype can't hold.
 */
export function tensor(values: NestedArray | TensorData | Float64Array, options: TensorOptions = {}): Tensor {
  const typed = ArrayBuffer.isView(values);
  const natural = typed ? [values.length] : shapeOfNested(values);
  const shape = options.shape === undefined ? natural : checkShape("tensor", options.shape);
  let flat: ArrayLike<number>;
  if (typed) flat = values;
  else {
    const list: number[] = [];
    flattenNested(values, natural, [], list);
    flat = list;
  }
  if (flat.length !== sizeOf(shape)) {
    throw new EvenkeelError(
      "shape",
      `tensor: ${flat.length} elements don't fill ${formatShape(shape)} (${sizeOf(shape)}).`,
    );
  }
  const implied: DType = typed
    ? values instanceof Float64Array
      ? "f32"
      : dtypeOfData(values)
    : typeof firstElement(values) === "boolean"
      ? "bool"
      : "f32";
  const dtype = options.dtype ?? implied;
  return new Tensor(makeNode("constant", [], { dtype, shape, data: convertData(flat, dtype) }));
}

function convertData(flat: ArrayLike<number>, dtype: DType): TensorData {
  const data = allocateData(dtype, 0);
  if (flat.constructor === data.constructor && dtype !== "bool") return flat as TensorData;
  const converted = allocateData(dtype, flat.length);
  for (let i = 0; i < flat.length; i++) converted[i] = checkElement("tensor", flat[i] as number, dtype);
  return converted;
}

/** @internal A number as a literal of `dtype`. */
export function literal(operation: string, value: number, dtype: DType): Tensor {
  return new Tensor(makeNode("literal", [], { dtype, value: checkElement(operation, value, dtype) }));
}

/** Whether `value` is a tensor. */
export function isTensor(value: unknown): value is Tensor {
  return value instanceof Tensor;
}
