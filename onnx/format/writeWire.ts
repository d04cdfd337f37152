/** Fields of the wire format of protocol buffers (protobuf.dev/programming-guides/encoding), written: what `wire.ts` reads. */

/** A signed or unsigned 64-bit integer, seven bits a byte. */
export function varint(value: bigint | number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

const lengthOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, { length }) => sum + length, 0);

/** Arrays one behind the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(lengthOf(parts));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

const utf8 = new TextEncoder();
const tag = (number: number, encoding: number): Uint8Array => varint((BigInt(number) << 3n) | BigInt(encoding));

export const integerField = (number: number, value: bigint | number): Uint8Array =>
  joined([tag(number, 0), varint(value)]);

/** A field of bytes in pieces, which are not copied: those of a large message are put together once, at the end. */
export const fieldOfPieces = (number: number, pieces: readonly Uint8Array[]): readonly Uint8Array[] => [
  tag(number, 2),
  varint(lengthOf(pieces)),
  ...pieces,
];

export const bytesField = (number: number, bytes: Uint8Array): Uint8Array => joined(fieldOfPieces(number, [bytes]));
export const textField = (number: number, text: string): Uint8Array => bytesField(number, utf8.encode(text));
export const floatField = (number: number, value: number): Uint8Array =>
  joined([tag(number, 5), littleEndian(4, (view) => view.setFloat32(0, value, true))]);
export const doubleField = (number: number, value: number): Uint8Array =>
  joined([tag(number, 1), littleEndian(8, (view) => view.setFloat64(0, value, true))]);

function littleEndian(length: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer));
  return bytes;
}
