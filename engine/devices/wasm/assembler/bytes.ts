/** The byte-level alphabet of WebAssembly binaries. */

/** Writes bytes one behind the other. A module has a million of them: none goes through an array of its own. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = value;
  }

  bytes(values: ArrayLike<number>): void {
    if (this.#length + values.length > this.#bytes.length) this.#grow(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  /** What another has written, behind its length. */
  counted(other: ByteWriter): void {
    this.unsigned(other.#length);
    this.bytes(other.#bytes.subarray(0, other.#length));
  }

  /** Unsigned LEB128 of a whole number 0 .. 2^53 - 1. */
  unsigned(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) + 128);
    this.byte(rest);
  }

  /** Signed LEB128 of a whole number. */
  signed(value: number | bigint): void {
    if (typeof value === "number" && value === (value | 0)) this.#signed32(value);
    else this.#signed(BigInt(value));
  }

  /** The same of 32 bits, as nearly all are. */
  #signed32(value: number): void {
    let rest = value;
    // The last byte's bit 6 must already say the sign of what is left.
    for (; rest < -64 || rest >= 64; rest >>= 7) this.byte((rest & 127) + 128);
    this.byte(rest & 127);
  }

  #signed(value: bigint): void {
    let rest = value;
    for (; rest < -64n || rest >= 64n; rest >>= 7n) this.byte(Number(rest & 127n) + 128);
    this.byte(Number(rest & 127n));
  }

  /** A length-prefixed UTF-8 name. */
  name(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.unsigned(utf8.length);
    this.bytes(utf8);
  }

  /** The four little-endian bytes of a float32. */
  float32(value: number): void {
    word.setFloat32(0, value, true);
    for (let i = 0; i < 4; i++) this.byte(word.getUint8(i));
  }

  /** The eight little-endian bytes of a float64. */
  float64(value: number): void {
    word.setFloat64(0, value, true);
    for (let i = 0; i < 8; i++) this.byte(word.getUint8(i));
  }

  /** Makes it empty: its memory serves again. */
  clear(): void {
    this.#length = 0;
  }

  /** A copy of what was written. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(more: number): void {
    const bytes = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}

const word = new DataView(new ArrayBuffer(16));

/** The sixteen bytes of four numbers, each written by `set` at its place in a view. */
export function vectorBytes(count: 2 | 4, set: (view: DataView, at: number, index: number) => void): readonly number[] {
  for (let index = 0; index < count; index++) set(word, (16 / count) * index, index);
  const bytes: number[] = [];
  for (let i = 0; i < 16; i++) bytes.push(word.getUint8(i));
  return bytes;
}
