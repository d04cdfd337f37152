import { fromFloat16Bits } from "../../engine/io/index.ts";
import {
  exactInteger,
  type PickleContext,
  PickleForeign,
  PickleGlobal,
  type PickleFunction,
  PickleTuple,
  type PickleValue,
} from "./pickle/index.ts";

/** An element of an array: integers beyond 2^53 stay exact. */
export type NumpyElement = number | bigint | boolean;

type Read = (view: DataView, at: number, littleEndian: boolean) => NumpyElement;

/** Element types by numpy's code: kind and bytes. */
const readers: ReadonlyMap<string, { readonly width: number; readonly read: Read }> = new Map([
  ["b1", { width: 1, read: (view, at) => view.getUint8(at) !== 0 }],
  ["i1", { width: 1, read: (view, at) => view.getInt8(at) }],
  ["u1", { width: 1, read: (view, at) => view.getUint8(at) }],
  ["i2", { width: 2, read: (view, at, little) => view.getInt16(at, little) }],
  ["u2", { width: 2, read: (view, at, little) => view.getUint16(at, little) }],
  ["i4", { width: 4, read: (view, at, little) => view.getInt32(at, little) }],
  ["u4", { width: 4, read: (view, at, little) => view.getUint32(at, little) }],
  ["i8", { width: 8, read: (view, at, little) => exactInteger(view.getBigInt64(at, little)) }],
  ["u8", { width: 8, read: (view, at, little) => exactInteger(view.getBigUint64(at, little)) }],
  ["f2", { width: 2, read: (view, at, little) => fromFloat16Bits(view.getUint16(at, little)) }],
  ["f4", { width: 4, read: (view, at, little) => view.getFloat32(at, little) }],
  ["f8", { width: 8, read: (view, at, little) => view.getFloat64(at, little) }],
] satisfies [string, { width: number; read: Read }][]);

const maximumAxes = 8;

/** An element type; its byte order is told after it is made. */
class NumpyType {
  readonly width: number;
  readonly #read: Read;
  #littleEndian = true;

  constructor({ width, read }: { readonly width: number; readonly read: Read }) {
    this.width = width;
    this.#read = read;
  }

  /** `(version, order, ...)`, with `>` for the highest byte first. */
  setState(state: PickleValue, { fail }: PickleContext): void {
    const [version, order] = state instanceof PickleTuple ? state.items : [];
    if (version !== 3 && version !== 4) return fail("a numpy type is described in an unknown version");
    if (order !== "<" && order !== ">" && order !== "|" && order !== "=") return fail("a numpy type has no byte order");
    this.#littleEndian = order !== ">";
  }

  element(bytes: Uint8Array, index: number): NumpyElement {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#read(view, index * this.width, this.#littleEndian);
  }
}

/** An array of numpy, as encoders keep their scales and offsets. Its elements stay in the file until they are asked for. */
export class NumpyArray {
  #content: { shape: readonly number[]; type: NumpyType; strides: readonly number[]; bytes: Uint8Array } | undefined;

  /** @param columns whether the first index runs fastest. */
  fill(
    shape: PickleValue | undefined,
    type: PickleValue | undefined,
    columns: boolean,
    bytes: PickleValue | undefined,
    context: PickleContext,
  ): void {
    const sizes = shape instanceof PickleTuple && shape.items.length <= maximumAxes ? shape.items : [];
    const axes = sizes.filter((size): size is number => typeof size === "number" && size >= 0);
    const isShape = shape instanceof PickleTuple && axes.length === shape.items.length;
    const element = numpyTypeOf(type);
    const size = axes.reduce((product, extent) => product * extent, 1);
    if (!isShape || element === undefined || !(bytes instanceof Uint8Array) || size * element.width !== bytes.length) {
      return context.fail("a numpy array's description can't be read");
    }
    const strides = axes.map((_, axis) =>
      (columns ? axes.slice(0, axis) : axes.slice(axis + 1)).reduce((product, extent) => product * extent, 1),
    );
    this.#content = { shape: axes, type: element, strides, bytes };
  }

  get shape(): readonly number[] {
    return this.#content?.shape ?? [0];
  }

  /** The element that lies at these indices. */
  element(indices: readonly number[]): NumpyElement {
    if (this.#content === undefined) throw new RangeError("an array without elements was asked for one");
    const { type, strides, bytes } = this.#content;
    return type.element(
      bytes,
      indices.reduce((sum, index, axis) => sum + index * (strides[axis] ?? 0), 0),
    );
  }
}

function numpyTypeOf(value: PickleValue | undefined): NumpyType | undefined {
  return value instanceof PickleForeign && value.value instanceof NumpyType ? value.value : undefined;
}

/** `(array class, shape, type)` with elements to come as the state `(version, shape, type, columns first, bytes)`. */
const reconstructArray: PickleFunction = ([type], { fail }) => {
  if (!(type instanceof PickleGlobal) || type.name !== "numpy.ndarray") return fail("an array is of an unknown class");
  const array = new NumpyArray();
  return new PickleForeign(array, (state, context) => {
    const [, shape, elements, columns, bytes] = state instanceof PickleTuple ? state.items : [];
    array.fill(shape, elements, columns === true || columns === 1, bytes, context);
  });
};

/** `(bytes, type, shape, order)`. */
const arrayOfBytes: PickleFunction = ([bytes, type, shape, order], context) => {
  const array = new NumpyArray();
  array.fill(shape, type, order === "F", bytes, context);
  return new PickleForeign(array);
};

/** `(type, bytes)`. */
const scalar: PickleFunction = ([type, bytes], { fail }) => {
  const element = numpyTypeOf(type);
  if (element === undefined || !(bytes instanceof Uint8Array) || bytes.length !== element.width) {
    return fail("a numpy number can't be read");
  }
  return element.element(bytes, 0);
};

/** `(code, align, copy)`, the code without a byte order, which is its state. */
const makeType: PickleFunction = ([code], { fail }) => {
  const reader = typeof code === "string" ? readers.get(code) : undefined;
  if (reader === undefined) return fail(`elements of a numpy type that is none of ${[...readers.keys()].join(", ")}`);
  const type = new NumpyType(reader);
  return new PickleForeign(type, (state, context) => {
    type.setState(state, context);
  });
};

/** What numpy's arrays, numbers and types are made by, in its first and second version. */
export const numpyFunctions: ReadonlyMap<string, PickleFunction> = new Map([
  ["numpy.dtype", makeType],
  ...["numpy.core", "numpy._core"].flatMap((core): [string, PickleFunction][] => [
    [`${core}.multiarray._reconstruct`, reconstructArray],
    [`${core}.multiarray.scalar`, scalar],
    [`${core}.numeric._frombuffer`, arrayOfBytes],
  ]),
]);
