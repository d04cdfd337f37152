import { Unzlib, unzlibSync } from "fflate";

/** What is packed is unpacked by pieces of this size: deflate makes at most 1032 bytes of one, so that each takes bounded time. */
const pieceBytes = 2 ** 14;

/**
 * Unpacks what zlib packed (deflate, with a checksum behind), and stops where it is more than expected.
 * @throws Error that says what is wrong: damage, or more than `expected` bytes.
 */
export function unzlib(packed: Uint8Array, expected: number): Uint8Array {
  // What holds nothing has a header of two bytes, two more, and the checksum.
  if (packed.length < 8) throw new Error("it ends too early");
  const bytes = packed.length <= pieceBytes ? unpackAtOnce(packed, expected) : unpackByPieces(packed, expected);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (adler32(bytes) !== view.getUint32(packed.length - 4)) throw new Error("its checksum is wrong, so it is damaged");
  return bytes;
}

function tooMany(expected: number): Error {
  return new Error(`it unpacks to more than ${expected} bytes`);
}

/** With less memory than by pieces, which counts where there are many small pictures. */
function unpackAtOnce(packed: Uint8Array, expected: number): Uint8Array {
  try {
    // One more, so that too many are told from enough: what doesn't fit isn't written.
    const bytes = unzlibSync(packed, { out: new Uint8Array(expected + 1) });
    if (bytes.length <= expected) return bytes;
  } catch (cause) {
    // What isn't packed is copied at once.
    if (!(cause instanceof RangeError)) throw cause;
  }
  throw tooMany(expected);
}

function unpackByPieces(packed: Uint8Array, expected: number): Uint8Array {
  const bytes = new Uint8Array(expected);
  let length = 0;
  const unpacking = new Unzlib((piece) => {
    if (length + piece.length > expected) throw tooMany(expected);
    bytes.set(piece, length);
    length += piece.length;
  });
  for (let at = 0; at < packed.length; at += pieceBytes) {
    unpacking.push(packed.subarray(at, at + pieceBytes), at + pieceBytes >= packed.length);
  }
  return bytes.subarray(0, length);
}

/** The checksum of zlib. */
function adler32(bytes: Uint8Array): number {
  let [sum, sumOfSums] = [1, 0];
  // So many fit into 32 bits before the remainder has to be taken.
  for (let start = 0; start < bytes.length; start += 3800) {
    const end = Math.min(start + 3800, bytes.length);
    for (let i = start; i < end; i++) {
      sum += bytes[i] ?? 0;
      sumOfSums += sum;
    }
    sum %= 65521;
    sumOfSums %= 65521;
  }
  return sumOfSums * 65536 + sum;
}
