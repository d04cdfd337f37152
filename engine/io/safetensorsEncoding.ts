import { EvenkeelError } from "../errors.ts";
import { formatShape, type Shape } from "../graph/shape.ts";
import { bytesPerElement, type FileDataOf, type FileDType } from "./fileDtype.ts";
import { checkLittleEndianHost, quoteText } from "./fileError.ts";
import { encodeBfloat16, encodeFloat16 } from "./halfPrecision.ts";
import { layOutSafetensors, type NamedEntries, type PlacedTensor } from "./safetensorsLayout.ts";

type Floats = Float32Array | Float64Array;

/** Host arrays that can be written as each dtype. F16 and BF16 take their bits, or floats to round to nearest even. */
export type WritableDataOf = {
  [D in FileDType]: D extends "F16" | "BF16" ? Uint16Array | Floats : D extends "F32" ? Floats : FileDataOf[D];
};

type WritableTensorOf<D extends FileDType> = {
  readonly dtype: D;
  readonly shape: Shape;
  /** Row-major; as many elements as `shape` says. F32 rounds f64 data to nearest even. */
  readonly data: WritableDataOf[D];
};

/** A tensor to write: the dtype it shall have in the file, its shape, and its elements. */
export type WritableTensor = { [D in FileDType]: WritableTensorOf<D> }[FileDType];

/** Elements of a tensor to write. */
export type WritableData = WritableTensor["data"];

/** Options of writing a safetensors file. */
export type SafetensorsOptions = {
  /** Strings for the file's `__metadata__` map. Default: none. */
  readonly metadata?: NamedEntries<string>;
};

/** Elements that are converted at a time, so that a large tensor is never held twice. */
const chunkElements = 1 << 18;

/**
 * A whole safetensors file in memory. See `layOutSafetensors` for the order of its bytes.
 * @throws EvenkeelError `value`, `dtype`, `shape` for what can't be written; `memory` if it does not fit.
 * @example
 * ```ts
 * const bytes = serializeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * console.log([...parseSafetensors(bytes).entries.keys()]); // [ 'w' ]
 * ```
 */
export function serializeSafetensors(
  tensors: NamedEntries<WritableTensor>,
  options: SafetensorsOptions = {},
): Uint8Array<ArrayBuffer> {
  checkLittleEndianHost("serializeSafetensors");
  const { head, placed, totalBytes } = layOutSafetensors(tensors, options.metadata ?? {});
  const file = allocateBytes(totalBytes, "serializeSafetensors");
  file.set(head);
  let position = head.length;
  for (const item of placed) {
    for (const chunk of encodedChunks(item, item.tensor.data)) {
      file.set(chunk, position);
      position += chunk.length;
    }
  }
  return file;
}

/** @throws EvenkeelError `memory`, naming the size, if the host refuses. */
export function allocateBytes(length: number, operation: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new EvenkeelError("memory", `${operation}: no memory for ${length} bytes.`, { cause });
  }
}

/**
 * The bytes of `placed` in the file, in pieces; their lengths add up to its `byteLength`. Pieces may share memory with
 * `data`.
 * @throws EvenkeelError `dtype`, `shape`, `value` if `data` does not fit the tensor's dtype and shape.
 */
export function* encodedChunks(
  placed: PlacedTensor<{ readonly dtype: FileDType; readonly shape: Shape }>,
  data: WritableData,
): Generator<Uint8Array> {
  const { name, tensor, byteLength } = placed;
  const { dtype, shape } = tensor;
  const where = `safetensors: tensor ${quoteText(name)}`;
  const encode = encoderOf(dtype, data);
  if (encode === undefined) {
    const found = Object.prototype.toString.call(data).slice(8, -1);
    throw new EvenkeelError("dtype", `${where}: ${found} data can't be written as ${dtype}; it takes ${takes[dtype]}.`);
  }
  const length = byteLength / bytesPerElement(dtype);
  if (data.length !== length) {
    throw new EvenkeelError(
      "shape",
      `${where}: shape ${formatShape(shape)} has ${length} elements, data ${data.length}.`,
    );
  }
  if (dtype === "BOOL") checkBooleans(where, data);
  for (let start = 0; start < length; start += chunkElements)
    yield encode(start, Math.min(length, start + chunkElements));
}

/** What each dtype can be written from, for messages; `WritableDataOf` says the same to the compiler. */
const takes: { readonly [D in FileDType]: string } = {
  BOOL: "Uint8Array",
  U8: "Uint8Array",
  I8: "Int8Array",
  I16: "Int16Array",
  U16: "Uint16Array",
  F16: "Uint16Array (bits), Float32Array or Float64Array",
  BF16: "Uint16Array (bits), Float32Array or Float64Array",
  I32: "Int32Array",
  U32: "Uint32Array",
  F32: "Float32Array or Float64Array",
  F64: "Float64Array",
  I64: "BigInt64Array",
  U64: "BigUint64Array",
};

type ChunkEncoder = (start: number, end: number) => Uint8Array;

/** Gives the bytes of elements start to end, or is undefined if `data` is of no type that `dtype` takes. */
function encoderOf(dtype: FileDType, data: WritableData): ChunkEncoder | undefined {
  switch (dtype) {
    case "BOOL":
    case "U8":
      return data instanceof Uint8Array ? asTheyAre(data) : undefined;
    case "I8":
      return data instanceof Int8Array ? asTheyAre(data) : undefined;
    case "I16":
      return data instanceof Int16Array ? asTheyAre(data) : undefined;
    case "U16":
      return data instanceof Uint16Array ? asTheyAre(data) : undefined;
    case "F16":
    case "BF16":
      if (data instanceof Uint16Array) return asTheyAre(data);
      return isFloats(data) ? converted(data, dtype === "F16" ? encodeFloat16 : encodeBfloat16) : undefined;
    case "I32":
      return data instanceof Int32Array ? asTheyAre(data) : undefined;
    case "U32":
      return data instanceof Uint32Array ? asTheyAre(data) : undefined;
    case "F32":
      if (data instanceof Float32Array) return asTheyAre(data);
      return isFloats(data) ? converted(data, (part) => new Float32Array(part)) : undefined;
    case "F64":
      return data instanceof Float64Array ? asTheyAre(data) : undefined;
    case "I64":
      return data instanceof BigInt64Array ? asTheyAre(data) : undefined;
    case "U64":
      return data instanceof BigUint64Array ? asTheyAre(data) : undefined;
  }
}

function isFloats(data: WritableData): data is Floats {
  return data instanceof Float32Array || data instanceof Float64Array;
}

function asTheyAre({ buffer, byteOffset, BYTES_PER_ELEMENT: size }: WritableData): ChunkEncoder {
  return (start, end) => new Uint8Array(buffer, byteOffset + start * size, (end - start) * size);
}

function converted(data: Floats, convert: (part: Floats) => Uint16Array | Float32Array): ChunkEncoder {
  return (start, end) => {
    const { buffer, byteOffset, byteLength } = convert(data.subarray(start, end));
    return new Uint8Array(buffer, byteOffset, byteLength);
  };
}

function checkBooleans(where: string, data: WritableData): void {
  for (let index = 0; index < data.length; index++) {
    const value = data[index];
    if (value !== 0 && value !== 1) {
      throw new EvenkeelError("value", `${where}: BOOL element ${index} is ${value}, not 0 or 1.`);
    }
  }
}
