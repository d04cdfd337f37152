import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { constants, gunzipSync } from "node:zlib";
import { EvenkeelError } from "../../../engine/index.ts";
import { isFolder, messageOf, readWhole } from "./imageSource.ts";

/** An array of bytes with its sizes, as MNIST and its kin are distributed. */
export type IdxArray = { readonly shape: readonly number[]; readonly data: Uint8Array };

/** Images [N, height, width] and, if their file is there, the class of each. */
export type IdxImages = { readonly images: IdxArray; readonly labels: readonly number[] | null };

/** Arrays are no larger. */
const maximumBytes = 2 ** 31;

/** More than a header of 8 axes. */
const headerBytes = 64;

const imagesPattern = /images[-.]idx3-ubyte(\.gz)?$/;

/**
 * Reads an IDX file of unsigned bytes, gzipped or not: two zeros, the type, the number of axes, their sizes as big-endian 32-bit
 * numbers, the elements. Unpacks no more than the header asks for.
 * @throws EvenkeelError `file` for anything else.
 */
export function parseIdx(bytes: Uint8Array, name: string): IdxArray {
  const fail = (problem: string, cause?: unknown): never => {
    throw new EvenkeelError("file", `${name}: ${problem}.`, { cause });
  };
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const unpack = (part: Uint8Array, maxOutputLength: number, finishFlush: number): Uint8Array => {
    try {
      return gunzipSync(part, { maxOutputLength, finishFlush });
    } catch (cause) {
      return fail(`can't be unpacked: ${messageOf(cause)}`, cause);
    }
  };
  // Deflate packs a thousandfold at most, so the first bytes unpack to little whatever they hold.
  const start = isPacked ? unpack(bytes.subarray(0, 1024), 2 ** 21, constants.Z_SYNC_FLUSH) : bytes;
  const view = new DataView(start.buffer, start.byteOffset, Math.min(start.byteLength, headerBytes));
  const axes = view.byteLength >= 4 ? view.getUint8(3) : 0;
  if (axes === 0 || axes > 8 || view.byteLength < 4 + 4 * axes || view.getUint16(0) !== 0) fail("is no IDX file");
  const type = view.getUint8(2);
  if (type !== 8) fail(`holds elements of type 0x${type.toString(16)}, expected unsigned bytes (0x8)`);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size > maximumBytes) fail(`says [${shape.join(", ")}], more than ${maximumBytes} elements`);
  const whole = isPacked ? unpack(bytes, 4 + 4 * axes + size, constants.Z_FINISH) : bytes;
  const data = whole.subarray(4 + 4 * axes);
  if (data.length !== size) fail(`says [${shape.join(", ")}] and has ${data.length} elements`);
  return { shape, data };
}

/**
 * The IDX file of images that a path means: itself, by its name, or the only one of a folder, or a folder's `train-images`. Null for
 * other files and folders without any.
 * @throws EvenkeelError `file` if a folder has several and none is for training, or there is nothing at the path.
 */
export async function findIdx(path: string): Promise<string | null> {
  if (!(await isFolder(path))) return imagesPattern.test(path) ? path : null;
  const found = (await readdir(path)).filter((file) => imagesPattern.test(file)).sort();
  const forTraining = found.filter((file) => file.startsWith("train-"));
  const [file] = forTraining.length > 0 ? forTraining : found;
  if (file === undefined) return null;
  if (forTraining.length === 0 && found.length > 1) {
    throw new EvenkeelError("file", `${path} holds ${found.join(" and ")}: name the one to read.`);
  }
  return join(path, file);
}

/**
 * Reads images and, from the file of labels beside them (`train-labels-idx1-ubyte` for `train-images-idx3-ubyte`), classes.
 * @throws EvenkeelError `file` for damaged files and a number of labels that isn't that of the images.
 */
export async function readIdx(path: string): Promise<IdxImages> {
  const images = parseIdx(await readWhole(path, maximumBytes), path);
  if (images.shape.length !== 3) {
    throw new EvenkeelError("file", `${path} is [${images.shape.join(", ")}], expected [N, height, width].`);
  }
  const beside = await findLabels(path);
  if (beside === null) return { images, labels: null };
  const labels = parseIdx(await readWhole(beside, maximumBytes), beside);
  if (labels.shape.length !== 1 || labels.shape[0] !== images.shape[0]) {
    throw new EvenkeelError(
      "file",
      `${beside} is [${labels.shape.join(", ")}], expected a label for each of ${images.shape[0]} images.`,
    );
  }
  return { images, labels: [...labels.data] };
}

/** The labels' file of an images' file, packed or not. */
async function findLabels(path: string): Promise<string | null> {
  const name = basename(path).replace("images", "labels").replace("idx3", "idx1");
  const other = name.endsWith(".gz") ? name.slice(0, -3) : `${name}.gz`;
  const files = new Set(await readdir(dirname(path)));
  const found = [name, other].find((file) => files.has(file));
  return found === undefined ? null : join(dirname(path), found);
}
