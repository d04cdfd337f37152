/** The byte-level alphabet of WebAssembly binaries. */

/** Unsigned LEB128 of a whole number 0 .. 2^53 - 1. */
export function unsignedLeb128(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest === 0 ? low : low + 128);
  } while (rest !== 0);
  return bytes;
}

/** Signed LEB128 of a whole number. */
export function signedLeb128(value: number | bigint): number[] {
  return typeof value === "number" && value === (value | 0) ? signedLeb128Of32(value) : signedLeb128Of(BigInt(value));
}

/** The same of 32 bits, as nearly all are. */
function signedLeb128Of32(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest & 127;
    rest >>= 7;
    // The last byte's bit 6 must already say the sign of what is left.
    if ((rest === 0 && low < 64) || (rest === -1 && low >= 64)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low + 128);
  }
}

function signedLeb128Of(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 127n);
    rest >>= 7n;
    if ((rest === 0n && low < 64) || (rest === -1n && low >= 64)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low + 128);
  }
}

/** A length-prefixed UTF-8 name. */
export function nameBytes(name: string): number[] {
  const utf8 = new TextEncoder().encode(name);
  return [...unsignedLeb128(utf8.length), ...utf8];
}

const word = new DataView(new ArrayBuffer(8));
const bytesOfWord = (count: number): number[] => Array.from({ length: count }, (_, i) => word.getUint8(i));

/** The four little-endian bytes of a float32. */
export function float32Bytes(value: number): number[] {
  word.setFloat32(0, value, true);
  return bytesOfWord(4);
}

/** The eight little-endian bytes of a float64. */
export function float64Bytes(value: number): number[] {
  word.setFloat64(0, value, true);
  return bytesOfWord(8);
}
