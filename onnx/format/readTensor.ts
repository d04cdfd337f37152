/** Tensors of a file: `TensorProto` of onnx.proto. */
import {
  bytesPerElement,
  decodeBfloat16,
  decodeFloat16,
  type FileDType,
  quoteText,
  viewData,
} from "../../engine/io/index.ts";
import { type ElementType, elementTypeOf, foreignTypeName, rangeOf } from "./elementTypes.ts";
import type { OnnxData, OnnxTensor } from "./model.ts";
import {
  appendFloats,
  appendIntegers,
  bytesOf,
  fieldsOf,
  integerOf,
  type Message,
  messageWithin,
  textOf,
  wireError,
} from "./wire.ts";

/** Files beside the model's that hold elements, by the names that the model calls them. */
export type ExternalData = ReadonlyMap<string, Uint8Array>;

/** Where elements lie that aren't in the model's file: `external_data` of a tensor. */
type ExternalPlace = { readonly location: string; readonly offset: number; readonly length: number | undefined };

/** What a message of a tensor says, before it is known whether it fits together. */
type TensorFields = {
  name: string;
  code: number;
  readonly shape: number[];
  readonly floats: number[];
  readonly integers: number[];
  readonly longs: number[];
  readonly doubles: number[];
  readonly unsigned: number[];
  readonly texts: string[];
  raw: Uint8Array | undefined;
  readonly external: Map<string, string>;
  isExternal: boolean;
};

function fieldsOfTensor(message: Message): TensorFields {
  const tensor: TensorFields = {
    name: "",
    code: 0,
    shape: [],
    floats: [],
    integers: [],
    longs: [],
    doubles: [],
    unsigned: [],
    texts: [],
    raw: undefined,
    external: new Map(),
    isExternal: false,
  };
  for (const field of fieldsOf(message)) {
    switch (field.number) {
      case 1:
        appendIntegers(message, field, tensor.shape);
        break;
      case 2:
        tensor.code = integerOf(message, field);
        break;
      case 3:
        throw wireError(message.place, "a tensor in segments can't be read: export the model anew.");
      case 4:
        appendFloats(message, field, 4, tensor.floats);
        break;
      case 5:
        appendIntegers(message, field, tensor.integers);
        break;
      case 6:
        tensor.texts.push(textOf(message, field));
        break;
      case 7:
        appendIntegers(message, field, tensor.longs);
        break;
      case 8:
        tensor.name = textOf(message, field);
        break;
      case 9:
        tensor.raw = bytesOf(message, field);
        break;
      case 10:
        appendFloats(message, field, 8, tensor.doubles);
        break;
      case 11:
        appendIntegers(message, field, tensor.unsigned);
        break;
      case 13: {
        const [key, value] = readEntry(messageWithin(message, field, "external data"));
        tensor.external.set(key, value);
        break;
      }
      case 14:
        tensor.isExternal = integerOf(message, field) === 1;
        break;
      default:
    }
  }
  return tensor;
}

/** A `StringStringEntryProto`. */
function readEntry(message: Message): readonly [key: string, value: string] {
  let [key, value] = ["", ""];
  for (const field of fieldsOf(message)) {
    if (field.number === 1) key = textOf(message, field);
    else if (field.number === 2) value = textOf(message, field);
  }
  return [key, value];
}

function externalPlace(place: string, entries: ReadonlyMap<string, string>): ExternalPlace {
  const location = entries.get("location");
  if (location === undefined) throw wireError(place, "its elements lie in another file that isn't named.");
  const whole = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    if (!/^\d{1,15}$/.test(text)) throw wireError(place, `${key} ${quoteText(text)} of its elements is no number.`);
    return Number(text);
  };
  return { location, offset: whole("offset") ?? 0, length: whole("length") };
}

/** The name of the file in which a tensor's elements lie, undefined if it is the model's own. */
export function locationOf(message: Message): string | undefined {
  const { isExternal, external } = fieldsOfTensor(message);
  return isExternal ? externalPlace(message.place, external).location : undefined;
}

/**
 * A tensor with its elements.
 * @throws EvenkeelError `file` if its type can't be read, or its elements don't fill its shape, or aren't of its type, or lie in a file that
 * isn't given.
 */
export function readTensor(outer: Message, external: ExternalData): OnnxTensor {
  const tensor = fieldsOfTensor(outer);
  const place = tensor.name === "" ? outer.place : `${outer.place} ${quoteText(tensor.name)}`;
  const type = elementTypeOf(tensor.code);
  if (type === undefined) {
    throw wireError(place, `its elements are of type ${foreignTypeName(tensor.code)}, which can't be read.`);
  }
  const { shape } = tensor;
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (shape.some((extent) => extent < 0) || !Number.isSafeInteger(size)) {
    throw wireError(place, `[${shape.slice(0, 8).join(", ")}] is no shape.`);
  }
  const raw = tensor.isExternal ? externalBytes(place, externalPlace(place, tensor.external), external) : tensor.raw;
  const data = raw === undefined ? listedElements(tensor, type, place) : rawElements(raw, type, place);
  if (data.length !== size) {
    throw wireError(place, `has ${data.length} elements where [${shape.slice(0, 8).join(", ")}] has ${size}.`);
  }
  return { name: tensor.name, type, shape, data: checkBools(data, type, place) };
}

function externalBytes(place: string, { location, offset, length }: ExternalPlace, files: ExternalData): Uint8Array {
  const file = files.get(location);
  if (file === undefined) {
    throw wireError(
      place,
      `its elements lie in ${quoteText(location)}. Give that file's bytes as externalData, by that name.`,
    );
  }
  const end = length === undefined ? file.length : offset + length;
  if (offset > file.length || end > file.length) {
    throw wireError(
      place,
      `bytes ${offset} to ${end} are asked for of ${quoteText(location)}, which has ${file.length}.`,
    );
  }
  return file.subarray(offset, end);
}

function checkBools(data: OnnxData, type: ElementType, place: string): OnnxData {
  if (type !== "bool") return data;
  const wrong = data.find((value) => value !== 0 && value !== 1);
  if (wrong !== undefined) throw wireError(place, `${wrong} is no bool.`);
  return data;
}

/** Elements as the lists of numbers that each type has its own of. */
function listedElements(tensor: TensorFields, type: ElementType, place: string): OnnxData {
  switch (type) {
    case "f32":
      return Float32Array.from(tensor.floats);
    case "f64":
      return Float64Array.from(tensor.doubles);
    case "f16":
      return decodeFloat16(Uint16Array.from(within(tensor.integers, "u16", place)));
    case "bf16":
      return decodeBfloat16(Uint16Array.from(within(tensor.integers, "u16", place)));
    case "i8":
      return Int8Array.from(within(tensor.integers, type, place));
    case "i16":
      return Int16Array.from(within(tensor.integers, type, place));
    case "i32":
      return Int32Array.from(within(tensor.integers, type, place));
    case "u8":
    case "bool":
      return Uint8Array.from(within(tensor.integers, "u8", place));
    case "u16":
      return Uint16Array.from(within(tensor.integers, type, place));
    case "u32":
      return Uint32Array.from(within(tensor.unsigned, type, place));
    case "i64":
      return Float64Array.from(tensor.longs);
    case "u64":
      return Float64Array.from(tensor.unsigned, (value) => (value < 0 ? value + 2 ** 64 : value));
    case "string":
      return tensor.texts;
  }
}

function within(values: readonly number[], type: ElementType, place: string): readonly number[] {
  const [low, high] = rangeOf(type);
  const wrong = values.find((value) => value < low || value > high);
  if (wrong !== undefined) throw wireError(place, `${wrong} is no element of type ${type}.`);
  return values;
}

/** Elements as bytes, little-endian: views of the file where they lie at a multiple of their size, else copies. */
function rawElements(raw: Uint8Array, type: ElementType, place: string): OnnxData {
  if (type === "string") throw wireError(place, "texts can't be given as raw bytes.");
  const width = bytesPerElement(fileTypes[type]);
  if (raw.length % width !== 0)
    throw wireError(place, `has ${raw.length} bytes, no multiple of the ${width} of type ${type}.`);
  switch (type) {
    case "f16":
      return decodeFloat16(viewData("F16", raw));
    case "bf16":
      return decodeBfloat16(viewData("BF16", raw));
    case "i64":
    case "u64":
      return Float64Array.from(viewData(fileTypes[type], raw), Number);
    default:
      return viewData(fileTypes[type], raw);
  }
}

/** The dtypes of safetensors files that have the same bytes. */
const fileTypes = {
  f32: "F32",
  f64: "F64",
  f16: "F16",
  bf16: "BF16",
  i8: "I8",
  i16: "I16",
  i32: "I32",
  i64: "I64",
  u8: "U8",
  u16: "U16",
  u32: "U32",
  u64: "U64",
  bool: "BOOL",
} as const satisfies { readonly [T in Exclude<ElementType, "string">]: FileDType };
