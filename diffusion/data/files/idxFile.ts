import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { type FileSource, maximumArrayBytes } from "./fileSource.ts";
import { gunzip } from "./gunzip.ts";

/** An array of bytes with its sizes, as MNIST and its kin are distributed. */
export type IdxArray = { readonly shape: readonly number[]; readonly data: Uint8Array };

/** Images [N, height, width] and, if their file is there, the class of each. */
export type IdxImages = { readonly images: IdxArray; readonly labels: Uint8Array | null };

/** Arrays are no larger. */
const maximumBytes = 2 ** 31;

/** More than a header of 8 axes. */
const headerBytes = 64;

/**
 * Reads an IDX file of unsigned bytes, gzipped or not: two zeros, the type, the number of axes, their sizes as big-endian 32-bit
 * numbers, the elements. Unpacks no more than the header asks for.
 * @throws EvenkeelError `file` for anything else.
 */
export async function parseIdx(bytes: Uint8Array, name: string): Promise<IdxArray> {
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const whole = isPacked ? await unpack(bytes, name) : bytes;
  const { shape, start, size } = parseHeader(whole, name);
  const data = whole.subarray(start);
  if (data.length !== size) {
    throw new EvenkeelError("file", `${name}: says [${shape.join(", ")}] and has ${data.length} elements.`);
  }
  return { shape, data };
}

async function unpack(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  try {
    return await gunzip(bytes, (head) => {
      const { start, size } = parseHeader(head, name);
      return start + size;
    });
  } catch (cause) {
    if (cause instanceof EvenkeelError) throw cause;
    throw new EvenkeelError("file", `${name}: can't be unpacked: ${messageOf(cause)}.`, { cause });
  }
}

/** @param head the first bytes of a file, or all. @returns the sizes, where the elements begin, and how many there are. */
function parseHeader(
  head: Uint8Array,
  name: string,
): { readonly shape: readonly number[]; readonly start: number; readonly size: number } {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${name}: ${problem}.`);
  };
  const view = new DataView(head.buffer, head.byteOffset, Math.min(head.byteLength, headerBytes));
  const axes = view.byteLength >= 4 ? view.getUint8(3) : 0;
  if (axes === 0 || axes > 8 || view.byteLength < 4 + 4 * axes || view.getUint16(0) !== 0) fail("is no IDX file");
  const type = view.getUint8(2);
  if (type !== 8) fail(`holds elements of type 0x${type.toString(16)}, expected unsigned bytes (0x8)`);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size > maximumBytes) fail(`says [${shape.join(", ")}], more than ${maximumBytes} elements`);
  return { shape, start: 4 + 4 * axes, size };
}

/**
 * Reads images and, if there is a file of labels, the class of each.
 * @throws EvenkeelError `file` for damaged files and a number of labels that isn't that of the images.
 */
export async function readIdx(source: FileSource, imagesFile: string, labelsFile: string | null): Promise<IdxImages> {
  const read = async (file: string): Promise<IdxArray> =>
    parseIdx(await source.read(file, maximumArrayBytes), source.nameOf(file));
  const images = await read(imagesFile);
  const name = source.nameOf(imagesFile);
  if (images.shape.length !== 3) {
    throw new EvenkeelError("file", `${name} is [${images.shape.join(", ")}], expected [N, height, width].`);
  }
  if (labelsFile === null) return { images, labels: null };
  const labels = await read(labelsFile);
  if (labels.shape.length !== 1 || labels.shape[0] !== images.shape[0]) {
    const problem = `is [${labels.shape.join(", ")}], expected a label for each of ${images.shape[0]} images`;
    throw new EvenkeelError("file", `${source.nameOf(labelsFile)} ${problem}.`);
  }
  return { images, labels: labels.data };
}
