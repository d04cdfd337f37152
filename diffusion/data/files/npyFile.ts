import { EvenkeelError } from "../../../engine/index.ts";
import { fromFloat16Bits } from "../../../engine/io/index.ts";

/** What an .npy file says of its array. */
export type NpyHeader = {
  /** NumPy's name: a byte order, a kind and bytes an element, e.g. `|u1` or `<i8`. */
  readonly type: string;
  readonly isFortran: boolean;
  readonly shape: readonly number[];
  /** Where the elements begin. */
  readonly start: number;
  readonly elementBytes: number;
};

/** An array as NumPy saves it, in rows (C order). */
export type NpyArray = Pick<NpyHeader, "type" | "shape"> & { readonly bytes: Uint8Array };

/** Enough for the header of every array of numbers. */
export const npyHeaderBytes = 4096;

/** Whether these are the first bytes of an .npy file. */
export function isNpy(start: Uint8Array): boolean {
  return [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59].every((byte, i) => start[i] === byte);
}

/**
 * Reads the header of an .npy file: a magic word, a version, a text like a Python dictionary.
 * @param start the first bytes of the file, `npyHeaderBytes` or all.
 * @throws EvenkeelError `file` for other files, and arrays of anything but numbers.
 */
export function parseNpyHeader(start: Uint8Array, name: string): NpyHeader {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${name}: ${problem}.`);
  };
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length < 12 || !isNpy(start)) fail("is no .npy file");
  const isFirstVersion = view.getUint8(6) === 1;
  const [from, length] = isFirstVersion ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (from + length > start.length) fail("ends within its header");
  const header = new TextDecoder().decode(start.subarray(from, from + length));
  const type = /['"]descr['"]:\s*u?['"]([^'"]+)['"]/.exec(header)?.[1];
  const order = /['"]fortran_order['"]:\s*(True|False)/.exec(header)?.[1];
  // Python 2 writes whole numbers as 4L.
  const extents = /['"]shape['"]:\s*\(([\d\sL,]*)\)/.exec(header)?.[1];
  if (type === undefined || order === undefined || extents === undefined) {
    return fail(
      `has a header that isn't understood, such as that of an array of records: ${header.trim().slice(0, 200)}`,
    );
  }
  const elementBytes = Number(/^[<|>=][a-zA-Z](\d+)$/.exec(type)?.[1] ?? 0) * (type[1] === "U" ? 4 : 1);
  if (elementBytes === 0)
    fail(
      `holds elements of type ${type} (Python's objects, for instance), expected numbers, such as numpy.unique(labels, return_inverse=True)[1] of labels`,
    );
  const shape = extents
    .split(",")
    .map((extent) => extent.trim().replace(/L$/, ""))
    .filter((extent) => extent !== "")
    .map(Number);
  if (shape.some((extent) => !Number.isSafeInteger(extent))) fail(`says [${extents}]`);
  return { type, isFortran: order === "True", shape, start: from + length, elementBytes };
}

/**
 * Reads an .npy file.
 * @throws EvenkeelError `file` for other files, and fewer or more elements than the header says.
 */
export function parseNpy(file: Uint8Array, name: string): NpyArray {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${name}: ${problem}.`);
  };
  const { type, isFortran, shape, start, elementBytes } = parseNpyHeader(file, name);
  const bytes = file.subarray(start);
  const expected = shape.reduce((product, extent) => product * extent, elementBytes);
  if (bytes.length !== expected) fail(`says [${shape.join(", ")}] of ${type} and has ${bytes.length} bytes`);
  return { type, shape, bytes: isFortran ? rowsFirst(bytes, shape, elementBytes) : bytes };
}

/** Elements in rows of those in columns (Fortran order), as NumPy saves what is transposed, and tables of pandas. */
function rowsFirst(bytes: Uint8Array, shape: readonly number[], elementBytes: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  const index = shape.map(() => 0);
  let step = elementBytes;
  const steps = shape.map((extent) => {
    const own = step;
    step *= extent;
    return own;
  });
  let from = 0;
  for (let to = 0; to < result.length; to += elementBytes) {
    for (let i = 0; i < elementBytes; i++) result[to + i] = bytes[from + i] ?? 0;
    // The next index, the last axis fastest.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [at = 0, extent = 1, own = 0] = [index[axis], shape[axis], steps[axis]];
      if (at + 1 < extent) {
        index[axis] = at + 1;
        from += own;
        break;
      }
      index[axis] = 0;
      from -= at * own;
    }
  }
  return result;
}

type Reader = (view: DataView, at: number, isLittle: boolean) => number;

/** By kind and bytes an element. */
const readers: { readonly [type: string]: Reader } = {
  b1: (view, at) => view.getUint8(at),
  u1: (view, at) => view.getUint8(at),
  i1: (view, at) => view.getInt8(at),
  u2: (view, at, isLittle) => view.getUint16(at, isLittle),
  i2: (view, at, isLittle) => view.getInt16(at, isLittle),
  u4: (view, at, isLittle) => view.getUint32(at, isLittle),
  i4: (view, at, isLittle) => view.getInt32(at, isLittle),
  u8: (view, at, isLittle) => Number(view.getBigUint64(at, isLittle)),
  i8: (view, at, isLittle) => Number(view.getBigInt64(at, isLittle)),
  f2: (view, at, isLittle) => fromFloat16Bits(view.getUint16(at, isLittle)),
  f4: (view, at, isLittle) => view.getFloat32(at, isLittle),
  f8: (view, at, isLittle) => view.getFloat64(at, isLittle),
};

/** Elements as numbers, of either byte order. @throws EvenkeelError `file` for types that are neither whole numbers nor floats. */
export function numbersOfNpy({ type, bytes }: NpyArray, name: string): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = readers[type.slice(1)];
  if (read === undefined) {
    const isText = /^.[US]/.test(type);
    const way = isText ? " Save the numbers of texts: numpy.unique(labels, return_inverse=True)[1]." : "";
    throw new EvenkeelError(
      "file",
      `${name}: holds ${type}, expected numbers: one of ${Object.keys(readers).join(" ")} in either byte order.${way}`,
    );
  }
  const step = Number(type.slice(2));
  const isLittle = !type.startsWith(">");
  return Array.from({ length: bytes.length / step }, (_, i) => read(view, i * step, isLittle));
}

/**
 * The bytes of an .npy file of float32 numbers, in pieces: header, then elements.
 * @example
 * ```ts
 * const [header, elements] = encodeNpy(Float32Array.of(1, 2, 3), [3]);
 * console.log(header?.length, elements?.length); // 128 12
 * ```
 */
export function encodeNpy(values: Float32Array, shape: readonly number[]): Uint8Array[] {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  // The elements begin at a multiple of 64.
  const total = Math.ceil((10 + text.length + 1) / 64) * 64;
  const header = new TextEncoder().encode(`\x00NUMPY\x01\x00\x00\x00${text.padEnd(total - 11)}\n`);
  header[0] = 0x93;
  new DataView(header.buffer).setUint16(8, total - 10, true);
  return [header, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)];
}
