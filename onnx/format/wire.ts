/**
 * The wire format of protocol buffers (protobuf.dev/programming-guides/encoding): a message is a list of fields, each a number, an
 * encoding and a value. Bytes are views of the file, and all work is bounded by the bytes there are.
 */
import { EvenkeelError } from "../../engine/index.ts";

/** One field as it lies in a message. Fixed numbers are their bytes. */
export type Field =
  | { readonly encoding: "varint"; readonly number: number; readonly value: number }
  | { readonly encoding: "bytes" | "fixed32" | "fixed64"; readonly number: number; readonly bytes: Uint8Array };

/** A message of a file: its bytes, what messages call it, and in how many others it lies. */
export type Message = { readonly bytes: Uint8Array; readonly place: string; readonly depth: number };

/** Graphs may lie in attributes of nodes; no exporter nests them deeper, and the stack must last. */
const deepest = 100;

/** @throws EvenkeelError `file` that says in which message of the file what is wrong. */
export function wireError(place: string, problem: string): EvenkeelError {
  return new EvenkeelError("file", `${place}: ${problem}`);
}

/** A message that lies in another one. @throws EvenkeelError `file` if they are nested too deeply. */
export function messageWithin(outer: Message, field: Field, name: string): Message {
  if (outer.depth === deepest) throw wireError(outer.place, `messages are nested more than ${deepest} deep.`);
  return { bytes: bytesOf(outer, field), place: `${outer.place}, ${name}`, depth: outer.depth + 1 };
}

/**
 * The fields of a message in their order, unknown ones included.
 * @throws EvenkeelError `file` where the bytes end within a field, or are none.
 */
export function* fieldsOf(message: Message): Generator<Field> {
  const { bytes, place } = message;
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) {
      throw wireError(
        place,
        `a field of ${length} bytes at byte ${at} reaches past the ${bytes.length} that there are.`,
      );
    }
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = readVarint(message, at);
    at = tag.end;
    // Field numbers have 29 bits; larger ones, and 0, are no fields.
    const number = Math.floor(tag.value / 8);
    if (number < 1 || number >= 2 ** 29) throw wireError(place, `${number} at byte ${at} is no number of a field.`);
    switch (tag.value % 8) {
      case 0: {
        const { value, end } = readVarint(message, at);
        at = end;
        yield { encoding: "varint", number, value };
        break;
      }
      case 1:
        yield { encoding: "fixed64", number, bytes: take(8) };
        break;
      case 2: {
        const length = readVarint(message, at);
        at = length.end;
        if (length.value < 0) throw wireError(place, `field ${number} has no possible length.`);
        yield { encoding: "bytes", number, bytes: take(length.value) };
        break;
      }
      case 5:
        yield { encoding: "fixed32", number, bytes: take(4) };
        break;
      default:
        throw wireError(place, `field ${number} at byte ${at} is encoded in no known way (${tag.value % 8}).`);
    }
  }
}

/**
 * A variable-length integer as a signed 64-bit one: exact up to 2^53, nearly so beyond.
 * @throws EvenkeelError `file` if it doesn't end.
 */
export function readVarint({ bytes, place }: Message, start: number): { readonly value: number; readonly end: number } {
  // Bits 0 to 27, 28 to 55, 56 to 63: each part is exact as a number.
  const parts: [number, number, number] = [0, 0, 0];
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) break;
    const part = i < 4 ? 0 : i < 8 ? 1 : 2;
    parts[part] += (byte & 127) * 2 ** (7 * (i % 4));
    if (byte < 128) return { value: signed(parts), end: start + i + 1 };
  }
  throw wireError(place, `the number at byte ${start} doesn't end.`);
}

function signed([low, middle, high]: readonly [number, number, number]): number {
  const top = high % 256;
  if (top < 128) return top * 2 ** 56 + middle * 2 ** 28 + low;
  // Of a negative number the complement is small: adding the parts themselves would lose its digits.
  return -1 - ((255 - top) * 2 ** 56 + (2 ** 28 - 1 - middle) * 2 ** 28 + (2 ** 28 - 1 - low));
}

function wrongEncoding(message: Message, field: Field, wanted: string): EvenkeelError {
  return wireError(message.place, `field ${field.number} is encoded as ${field.encoding}, expected ${wanted}.`);
}

/** A field's bytes. @throws EvenkeelError `file` if it is a number. */
export function bytesOf(message: Message, field: Field): Uint8Array {
  if (field.encoding !== "bytes") throw wrongEncoding(message, field, "bytes");
  return field.bytes;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A field's text. @throws EvenkeelError `file` if it is none. */
export function textOf(message: Message, field: Field): string {
  try {
    return utf8.decode(bytesOf(message, field));
  } catch (cause) {
    if (cause instanceof EvenkeelError) throw cause;
    throw wireError(message.place, `field ${field.number} is no text in UTF-8.`);
  }
}

/** A field's integer. @throws EvenkeelError `file` if it is none. */
export function integerOf(message: Message, field: Field): number {
  if (field.encoding !== "varint") throw wrongEncoding(message, field, "an integer");
  return field.value;
}

/** A field's 32-bit float. @throws EvenkeelError `file` if it is none. */
export function floatOf(message: Message, field: Field): number {
  if (field.encoding !== "fixed32") throw wrongEncoding(message, field, "a float");
  return viewOf(field.bytes).getFloat32(0, true);
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Appends the integers of a field that may be repeated, alone or packed. */
export function appendIntegers(message: Message, field: Field, into: number[]): void {
  if (field.encoding === "varint") {
    into.push(field.value);
    return;
  }
  const packed = messageWithin(message, field, `field ${field.number}`);
  for (let at = 0; at < packed.bytes.length; ) {
    const { value, end } = readVarint(packed, at);
    into.push(value);
    at = end;
  }
}

/** Appends the floats of a field that may be repeated, alone or packed: of 4 bytes or of 8. */
export function appendFloats(message: Message, field: Field, width: 4 | 8, into: number[]): void {
  const alone = width === 4 ? "fixed32" : "fixed64";
  const isAlone = field.encoding === alone;
  if (field.encoding === "varint" || !(isAlone || field.encoding === "bytes")) {
    throw wrongEncoding(message, field, "floats");
  }
  const { bytes } = field;
  if (bytes.length % width !== 0) {
    throw wireError(message.place, `field ${field.number} has ${bytes.length} bytes, no multiple of ${width}.`);
  }
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; at += width) {
    into.push(width === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true));
  }
}
