import { gunzipSync } from "node:zlib";
import { EvenkeelError } from "../../../engine/index.ts";
import { messageOf } from "./imageSource.ts";

/** An array of bytes with its sizes, as MNIST and its kin are distributed. */
export type IdxArray = { readonly shape: readonly number[]; readonly data: Uint8Array };

/** Unpacked files are no larger. */
const maximumBytes = 2 ** 31;

/**
 * Reads an IDX file of unsigned bytes, gzipped or not: two zeros, the type, the number of axes, their sizes as big-endian 32-bit
 * numbers, the elements. @throws EvenkeelError `file` for anything else.
 */
export function parseIdx(bytes: Uint8Array, name: string): IdxArray {
  const fail = (problem: string, cause?: unknown): never => {
    throw new EvenkeelError("file", `${name}: ${problem}`, { cause });
  };
  let plain = bytes;
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      plain = gunzipSync(bytes, { maxOutputLength: maximumBytes });
    } catch (cause) {
      return fail(`can't be unpacked: ${messageOf(cause)}`, cause);
    }
  }
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const axes = plain.length >= 4 ? view.getUint8(3) : 0;
  if (plain.length < 4 + 4 * axes || view.getUint16(0) !== 0 || axes === 0 || axes > 8) fail("is no IDX file");
  if (view.getUint8(2) !== 8)
    fail(`holds elements of type 0x${view.getUint8(2).toString(16)}, expected unsigned bytes (0x8)`);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, extent) => product * extent, 1);
  const data = plain.subarray(4 + 4 * axes);
  if (data.length !== size) fail(`says [${shape.join(", ")}] and has ${data.length} elements`);
  return { shape, data };
}
