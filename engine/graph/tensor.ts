import { EvenkeelError } from "../errors.ts";
import { allocateData, checkElement, type DType, type TensorData, type TensorDataOf } from "./dtype.ts";
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

  /** Size of each axis, outermost first; [] for a scalar. */
  get shape(): Shape {
    return this.node.shape;
  }

  /** Type of the elements: f32, i32, u32 or bool. */
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
   * the default device at the first call, remembered afterwards. Don't write into it. If a dtype is given, it must be what this tensor's is:
   * the array is then typed by it, as in `const values = await x.data("f32")`.
   * @throws EvenkeelError `trace` inside a function that is being compiled: values don't exist yet there; `dtype` if it isn't the given
   * one, as nothing is converted.
   */
  data(): Promise<TensorData>;
  data<D extends DType>(dtype: D): Promise<TensorDataOf[D]>;
  data(dtype?: DType): Promise<TensorData> {
    if (dtype !== undefined && dtype !== this.dtype) {
      const message = `data: ${this.toString()} has no ${dtype} elements. Ask for "${this.dtype}", or use cast(x, "${dtype}") first.`;
      return Promise.reject(new EvenkeelError("dtype", message));
    }
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

  /** Shape and dtype, for messages: `${x}` and String(x). */
  toString(): string {
    return `Tensor(${this.dtype} ${formatShape(this.shape)})`;
  }

  /**
   * A tensor is not a number: `x > 0`, `x * 2`, `x == 0`, `+x`, `Math.exp(x)` and `"text" + x` throw. JavaScript gives no way
   * to notice `if (x)`, `!x`, `x && y` (every object is true) and `x === y` (the same object).
   * @throws EvenkeelError `value` that says what to write instead
   */
  [Symbol.toPrimitive](hint: "number" | "string" | "default"): string {
    if (hint === "string") return this.toString();
    throw new EvenkeelError(
      "value",
      `${this.toString()} was used as a JavaScript ${hint === "number" ? "number (a comparison, arithmetic or Math)" : "value (+ or ==)"}, ` +
        "but a tensor has no values until they are computed. Write greater(x, 0) for x > 0, equal(x, y) for x == y, " +
        "add(x, y) or multiply(x, y) for arithmetic, exp(x) for Math.exp(x), where(condition, x, y) for a choice; " +
        "read a number with await x.item(); in texts write `${x}`.",
    );
  }

  /** @throws EvenkeelError `value`: JSON.stringify can't wait for values. */
  toJSON(): never {
    throw new EvenkeelError(
      "value",
      `JSON can't hold ${this.toString()}: its values are not known until they are computed. Write await x.array() or await x.item().`,
    );
  }
}

/** What operations take in place of a tensor: a number becomes a scalar of the other operand's dtype. */
export type TensorLike = Tensor | number;

/** What `tensor` is told beside values: the shape (default: as nested, or one axis) and the dtype (default: see `tensor`). */
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

/** Typed arrays whose dtype goes without saying. */
const dtypeOfArray: { readonly [name: string]: DType } = {
  Float32Array: "f32",
  Float64Array: "f32",
  Int32Array: "i32",
  Uint32Array: "u32",
  BigInt64Array: "i32",
  BigUint64Array: "u32",
};

/** Typed arrays of numbers that no dtype is meant for: bytes may be truth values, pixels or indices. */
const otherArrays: readonly string[] = [
  "Uint8Array",
  "Uint8ClampedArray",
  "Int8Array",
  "Uint16Array",
  "Int16Array",
  "Float16Array",
];

/** @throws EvenkeelError `dtype` if it must be given, or if the array holds no numbers. */
function impliedDtype(values: ArrayBufferView, given: DType | undefined): DType {
  const { name } = values.constructor;
  const natural = dtypeOfArray[name];
  if (natural !== undefined) return given ?? natural;
  if (!otherArrays.includes(name)) {
    throw new EvenkeelError(
      "dtype",
      `tensor: a ${name} holds no numbers of a dtype. Convert it to a Float32Array or Int32Array.`,
    );
  }
  if (given !== undefined) return given;
  throw new EvenkeelError(
    "dtype",
    `tensor: a ${name} doesn't say which dtype is meant. Give { dtype: "bool" } for truth values (0 and 1), { dtype: "f32" } for ` +
      'pixels and other numbers, { dtype: "i32" } or { dtype: "u32" } for indices.',
  );
}

/** Typed arrays of 64-bit integers, such as the labels that other programs write. */
type LongArray = BigInt64Array | BigUint64Array;

/** Typed arrays that `tensor` takes. */
export type NumberArray =
  | TensorData
  | Float64Array
  | Uint8ClampedArray
  | Int8Array
  | Uint16Array
  | Int16Array
  | LongArray;

/**
 * A tensor of host values: a number, nested arrays, or a typed array with `shape` (default: one axis).
 * dtype follows from a Float32Array, Float64Array (both f32), Int32Array, BigInt64Array (both i32), Uint32Array or BigUint64Array (both
 * u32) and must be given for others, a Uint8Array too, though it is what bool tensors give as their `data`; it is bool for booleans and
 * f32 for other numbers. 64-bit integers, such as labels of other programs, must be ones that the dtype holds exactly.
 * Typed arrays of the right dtype are kept, not copied: don't write into them afterwards.
 * @throws EvenkeelError `shape` for ragged arrays or a shape of another size; `value` for elements the dtype can't hold;
 * `dtype` for a typed array that doesn't say which is meant.
 * @example
 * ```ts
 * const x = tensor([[1, 2], [3, 4]]);
 * console.log(x.shape, x.dtype, tensor([1, 2], { dtype: "i32" }).dtype, tensor(true).dtype); // [ 2, 2 ] f32 i32 bool
 * ```
 */
export function tensor(values: NestedArray | NumberArray, options: TensorOptions = {}): Tensor {
  const shape = options.shape === undefined ? undefined : checkShape("tensor", options.shape);
  if (ArrayBuffer.isView(values)) {
    const dtype = impliedDtype(values, options.dtype);
    return constant(isLong(values) ? narrowed(values, dtype) : values, shape ?? [values.length], dtype);
  }
  const natural = shapeOfNested(values);
  const list: number[] = [];
  flattenNested(values, natural, [], list);
  return constant(
    list,
    shape ?? natural,
    options.dtype ?? (typeof firstElement(values) === "boolean" ? "bool" : "f32"),
  );
}

function constant(flat: ArrayLike<number>, shape: Shape, dtype: DType): Tensor {
  if (flat.length !== sizeOf(shape)) {
    throw new EvenkeelError(
      "shape",
      `tensor: ${flat.length} elements don't fill ${formatShape(shape)} (${sizeOf(shape)}).`,
    );
  }
  return new Tensor(makeNode("constant", [], { dtype, shape, data: convertData(flat, dtype) }));
}

function isLong(values: NumberArray): values is LongArray {
  return values instanceof BigInt64Array || values instanceof BigUint64Array;
}

/** 64-bit integers as elements of `dtype`. @throws EvenkeelError `value` for one that it doesn't hold exactly. */
function narrowed(values: LongArray, dtype: DType): TensorData {
  const data = allocateData(dtype, values.length);
  values.forEach((value: bigint, i: number) => {
    data[i] = Number(value);
    const stored = data[i] ?? NaN;
    if (!Number.isFinite(stored) || BigInt(stored) !== value || (dtype === "bool" && stored > 1)) {
      throw new EvenkeelError(
        "value",
        `tensor: element ${i} of the ${values.constructor.name} is ${value}, which ${dtype} can't hold exactly. ` +
          "There are no 64-bit tensors: subtract an offset first, or convert it to a Float64Array if rounding is meant.",
      );
    }
  });
  return data;
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

/**
 * Whether `value` is a tensor.
 * @example console.log(isTensor(scalar(1)), isTensor(1)); // true false
 */
export function isTensor(value: unknown): value is Tensor {
  return value instanceof Tensor;
}
