import { EvenkeelError } from "../errors.ts";
import type { Shape } from "../graph/shape.ts";
import { type FileDataOf, type FileDType, isForeignDType, viewData } from "./fileDtype.ts";
import { fileError, quoteText } from "./fileError.ts";
import { decodeBfloat16, decodeFloat16 } from "./halfPrecision.ts";
import type { TensorEntry } from "./safetensorsHeader.ts";

/** A tensor read from a file: `data` is row-major and has the product of `shape` elements. */
export type StoredTensorOf<D extends FileDType> = {
  readonly name: string;
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: FileDataOf[D];
};

/** A tensor read from a file; `dtype` tells the type of `data`. */
export type StoredTensor = { [D in FileDType]: StoredTensorOf<D> }[FileDType];

type Builder<D extends FileDType> = (entry: TensorEntry, bytes: Uint8Array) => StoredTensorOf<D>;

function builder<D extends FileDType>(dtype: D): Builder<D> {
  return ({ name, shape }, bytes) => ({ name, dtype, shape, data: viewData(dtype, bytes) });
}

const builders: { readonly [D in FileDType]: Builder<D> } = {
  BOOL: builder("BOOL"),
  U8: builder("U8"),
  I8: builder("I8"),
  I16: builder("I16"),
  U16: builder("U16"),
  F16: builder("F16"),
  BF16: builder("BF16"),
  I32: builder("I32"),
  U32: builder("U32"),
  F32: builder("F32"),
  F64: builder("F64"),
  I64: builder("I64"),
  U64: builder("U64"),
};

/**
 * The tensor of `entry`, whose bytes in the file are `bytes`; shares their memory where they are aligned.
 * @throws EvenkeelError `file` for a dtype that isn't read, and if a BOOL element is neither 0 nor 1.
 */
export function buildStoredTensor(entry: TensorEntry, bytes: Uint8Array, source: string): StoredTensor {
  if (entry.dtype === "BOOL") {
    const index = bytes.findIndex((byte) => byte > 1);
    if (index >= 0) {
      throw fileError(source, `tensor ${quoteText(entry.name)}: BOOL element ${index} is ${bytes[index]}, not 0 or 1.`);
    }
  }
  const { dtype } = entry;
  if (isForeignDType(dtype)) {
    throw fileError(
      source,
      `tensor ${quoteText(entry.name)} has dtype ${dtype}, which Evenkeel does not read. Convert it to F16, BF16 or F32.`,
    );
  }
  return builders[dtype](entry, bytes);
}

/**
 * The elements as f32. Floats are rounded to nearest even (F64) or widened exactly (F16, BF16); integers must be exact.
 * F32 data is returned as it is, without a copy.
 * @throws EvenkeelError `value` for an integer that f32 can't hold.
 * @example
 * ```ts
 * const file = parseSafetensors(serializeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }));
 * console.log(toFloat32(file.tensor("w"))); // Float32Array(2) [ 1, 2 ]
 * ```
 */
export function toFloat32(tensor: StoredTensor): Float32Array {
  switch (tensor.dtype) {
    case "F32":
      return tensor.data;
    case "F16":
      return decodeFloat16(tensor.data);
    case "BF16":
      return decodeBfloat16(tensor.data);
    case "F64":
    case "BOOL":
    case "U8":
    case "I8":
    case "U16":
    case "I16":
      return new Float32Array(tensor.data);
    case "I32":
    case "U32":
    case "I64":
    case "U64":
      return fill(tensor, new Float32Array(tensor.data.length), "f32");
  }
}

/**
 * The elements as f64, all exact. F64 data is returned as it is, without a copy.
 * @throws EvenkeelError `value` for an integer that f64 can't hold.
 * @example
 * ```ts
 * const file = parseSafetensors(serializeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }));
 * console.log(toFloat64(file.tensor("w"))); // Float64Array(2) [ 1, 2 ]
 * ```
 */
export function toFloat64(tensor: StoredTensor): Float64Array {
  switch (tensor.dtype) {
    case "F64":
      return tensor.data;
    case "F16":
    case "BF16":
      return new Float64Array(toFloat32(tensor));
    case "F32":
    case "BOOL":
    case "U8":
    case "I8":
    case "U16":
    case "I16":
    case "I32":
    case "U32":
      return new Float64Array(tensor.data);
    case "I64":
    case "U64":
      return fill(tensor, new Float64Array(tensor.data.length), "f64");
  }
}

/**
 * The elements of an integer or BOOL tensor as i32 (class labels, indices). I32 data is returned without a copy.
 * @throws EvenkeelError `value` for a number outside of i32, `dtype` for a float tensor.
 * @example
 * ```ts
 * const file = parseSafetensors(serializeSafetensors({ n: { dtype: "I32", shape: [2], data: Int32Array.of(1, -2) } }));
 * console.log(toInt32(file.tensor("n"))); // Int32Array(2) [ 1, -2 ]
 * ```
 */
export function toInt32(tensor: StoredTensor): Int32Array {
  switch (tensor.dtype) {
    case "I32":
      return tensor.data;
    case "BOOL":
    case "U8":
    case "I8":
    case "U16":
    case "I16":
      return new Int32Array(tensor.data);
    case "U32":
    case "I64":
    case "U64":
      return fill(tensor, new Int32Array(tensor.data.length), "i32");
    case "F16":
    case "BF16":
    case "F32":
    case "F64":
      throw isNoInteger("toInt32", tensor);
  }
}

/**
 * The elements of an integer or BOOL tensor as u32. U32 data is returned without a copy.
 * @throws EvenkeelError `value` for a number outside of u32, `dtype` for a float tensor.
 * @example
 * ```ts
 * const file = parseSafetensors(serializeSafetensors({ n: { dtype: "I32", shape: [2], data: Int32Array.of(1, 2) } }));
 * console.log(toUint32(file.tensor("n"))); // Uint32Array(2) [ 1, 2 ]
 * ```
 */
export function toUint32(tensor: StoredTensor): Uint32Array {
  switch (tensor.dtype) {
    case "U32":
      return tensor.data;
    case "BOOL":
    case "U8":
    case "U16":
      return new Uint32Array(tensor.data);
    case "I8":
    case "I16":
    case "I32":
    case "I64":
    case "U64":
      return fill(tensor, new Uint32Array(tensor.data.length), "u32");
    case "F16":
    case "BF16":
    case "F32":
    case "F64":
      throw isNoInteger("toUint32", tensor);
  }
}

const isNoInteger = (operation: string, { name, dtype }: StoredTensor): EvenkeelError =>
  new EvenkeelError(
    "dtype",
    `${operation}: tensor ${quoteText(name)} is ${dtype}; only integer and BOOL tensors convert. ` +
      "Read it with toFloat64 and round it as you mean it.",
  );

type Integers = StoredTensorOf<"I8" | "I16" | "I32" | "U32" | "I64" | "U64">;

/** Stores each integer in `target` and checks that it is still the same. */
function fill<T extends Float32Array | Float64Array | Int32Array | Uint32Array>(
  tensor: Integers,
  target: T,
  name: string,
): T {
  const { data } = tensor;
  for (let index = 0; index < data.length; index++) {
    const value = data[index] ?? 0;
    target[index] = Number(value);
    const stored = target[index] ?? 0;
    if (typeof value === "bigint" ? BigInt(stored) !== value : stored !== value) {
      throw new EvenkeelError(
        "value",
        `tensor ${quoteText(tensor.name)}: element ${index} is ${value}, which ${name} can't hold exactly. ` +
          `Read its ${tensor.dtype} data instead.`,
      );
    }
  }
  return target;
}
