import { EvenkeelError } from "../../../engine/index.ts";

/** An array as NumPy saves it, in rows (C order). */
export type NpyArray = {
  /** NumPy's name: a byte order, a kind and bytes an element, e.g. `|u1` or `<i8`. */
  readonly type: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
};

/**
 * Reads an .npy file: a magic word, a version, a header like a Python dictionary, the elements.
 * @throws EvenkeelError `file` for other files, columns first (Fortran order), and fewer or more elements than the header says.
 */
export function parseNpy(file: Uint8Array, name: string): NpyArray {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${name}: ${problem}.`);
  };
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (file.length < 12 || magic.some((byte, i) => file[i] !== byte)) fail("is no .npy file");
  const isFirstVersion = view.getUint8(6) === 1;
  const [start, length] = isFirstVersion ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (start + length > file.length) fail("ends within its header");
  const header = new TextDecoder().decode(file.subarray(start, start + length));
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const isFortran = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const extents = /'shape':\s*\(([\d\s,]*)\)/.exec(header)?.[1];
  const elementBytes = Number(/^[<|>=][a-z](\d+)$/.exec(type ?? "")?.[1] ?? 0);
  if (type === undefined || isFortran === undefined || extents === undefined || elementBytes === 0) {
    return fail(`has a header that isn't understood: ${header.trim()}`);
  }
  if (isFortran === "True") fail("is stored by columns; save it with numpy.ascontiguousarray");
  const shape = extents
    .split(",")
    .map((extent) => extent.trim())
    .filter((extent) => extent !== "")
    .map(Number);
  const bytes = file.subarray(start + length);
  const expected = shape.reduce((product, extent) => product * extent, elementBytes);
  if (bytes.length !== expected) fail(`says [${shape.join(", ")}] of ${type} and has ${bytes.length} bytes`);
  return { type, shape, bytes };
}

/** Elements as numbers. @throws EvenkeelError `file` for types that are neither whole numbers nor floats, or big-endian. */
export function numbersOfNpy({ type, bytes }: NpyArray, name: string): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const readers: { readonly [type: string]: (at: number) => number } = {
    "|u1": (at) => view.getUint8(at),
    "|i1": (at) => view.getInt8(at),
    "<u2": (at) => view.getUint16(at, true),
    "<i2": (at) => view.getInt16(at, true),
    "<u4": (at) => view.getUint32(at, true),
    "<i4": (at) => view.getInt32(at, true),
    "<u8": (at) => Number(view.getBigUint64(at, true)),
    "<i8": (at) => Number(view.getBigInt64(at, true)),
    "<f4": (at) => view.getFloat32(at, true),
    "<f8": (at) => view.getFloat64(at, true),
  };
  const read = readers[type];
  if (read === undefined) {
    throw new EvenkeelError("file", `${name}: holds ${type}, expected one of ${Object.keys(readers).join(" ")}.`);
  }
  const step = Number(type.slice(2));
  return Array.from({ length: bytes.length / step }, (_, i) => read(i * step));
}
