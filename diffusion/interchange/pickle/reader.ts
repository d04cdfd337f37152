import { EvenkeelError } from "../../../engine/index.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes read one after the other; every read is checked against the end. */
export class PickleReader {
  readonly bytes: Uint8Array;
  readonly source: string;
  position = 0;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, source: string) {
    // A plain array even of Node's Buffer, whose `slice` is no copy.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.source = source;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(problem: string, cause?: unknown): never {
    throw new EvenkeelError("file", `${this.source}: ${problem}, at byte ${this.position}`, { cause });
  }

  /** A view of the next bytes. */
  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.position) {
      this.fail(`the pickle ends where ${length} bytes should follow`);
    }
    const taken = this.bytes.subarray(this.position, this.position + length);
    this.position += length;
    return taken;
  }

  #at(length: number): number {
    const { position } = this;
    this.take(length);
    return position;
  }

  uint8(): number {
    return this.#view.getUint8(this.#at(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#at(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#at(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#at(4), true);
  }

  /** A length of eight bytes: more than the file has is refused by `take`, so that a number is exact. */
  length64(): number {
    const length = this.#view.getBigUint64(this.#at(8), true);
    if (length > BigInt(this.bytes.length))
      this.fail(`a length of ${length} is beyond the end: the file is cut off or damaged`);
    return Number(length);
  }

  float64(): number {
    return this.#view.getFloat64(this.#at(8), false);
  }

  text(length: number): string {
    const bytes = this.take(length);
    try {
      return utf8.decode(bytes);
    } catch (cause) {
      return this.fail("a text is not UTF-8", cause);
    }
  }

  /** A text in which each byte is a character. */
  latin1(length: number): string {
    return singleBytes(this.take(length));
  }

  /** Up to the next newline, without it; each byte a character. */
  line(): string {
    const end = this.bytes.indexOf(10, this.position);
    if (end < 0) this.fail("a line has no end");
    const text = this.latin1(end - this.position);
    this.position += 1;
    return text;
  }

  /** A little-endian two's-complement integer of so many bytes; a number if it is exact as one. */
  integer(length: number): number | bigint {
    // Longer ones have no use here, and arithmetic on them is slow.
    if (length > 256) this.fail(`an integer has ${length} bytes`);
    const bytes = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
    if (length > 0 && ((bytes[length - 1] ?? 0) & 128) !== 0) value -= 1n << BigInt(8 * length);
    return exactInteger(value);
  }
}

/** An integer as a number if it is exact as one. */
export function exactInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** By hand, as decoders take "latin1" for windows-1252, which has other characters from 0x80 to 0x9f. */
function singleBytes(bytes: Uint8Array): string {
  let text = "";
  // In parts, as arguments are limited in number.
  for (let from = 0; from < bytes.length; from += 8192) {
    text += String.fromCharCode(...bytes.subarray(from, from + 8192));
  }
  return text;
}
