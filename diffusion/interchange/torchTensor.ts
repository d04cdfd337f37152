import { EvenkeelError } from "../../engine/index.ts";
import type { StoredTensor } from "../../engine/io/index.ts";

/** Element types of PyTorch's storages and of files. */
const storageTypes = {
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  FloatStorage: "F32",
  DoubleStorage: "F64",
  BoolStorage: "BOOL",
  ByteStorage: "U8",
  CharStorage: "I8",
  ShortStorage: "I16",
  IntStorage: "I32",
  LongStorage: "I64",
} as const;

export type StorageDtype = (typeof storageTypes)[keyof typeof storageTypes];

/** Bytes of an element. */
export const elementBytes: Readonly<Record<StorageDtype, number>> = {
  F16: 2,
  BF16: 2,
  F32: 4,
  F64: 8,
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  I32: 4,
  I64: 8,
};

/** The element type that a class such as `torch.HalfStorage` stands for. */
export function dtypeOfStorageClass(name: string): StorageDtype | undefined {
  const match = /^torch\.(\w+)$/.exec(name)?.[1] ?? "";
  return Object.hasOwn(storageTypes, match) ? storageTypes[match as keyof typeof storageTypes] : undefined;
}

/** Axes of a tensor, at most: weights have five. PyTorch allows 64, which a byte of a pickle may ask for again and again. */
export const maximumAxes = 8;

/** A block of elements that tensors are views of. */
export class TorchStorage {
  readonly dtype: StorageDtype;
  readonly bytes: Uint8Array;
  constructor(dtype: StorageDtype, bytes: Uint8Array) {
    this.dtype = dtype;
    this.bytes = bytes;
  }

  /** Number of elements. */
  get length(): number {
    return this.bytes.length / elementBytes[this.dtype];
  }
}

/** A view of a storage; not yet copied out of it. */
export class TorchTensor {
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** Bytes that a copy takes. */
  readonly byteLength: number;

  /** @throws EvenkeelError `file` unless every element lies in the storage. Elements may be shared, as by a stride of 0. */
  constructor(
    storage: TorchStorage,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
    source: string,
  ) {
    const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
    const size = shape.includes(0) ? 0 : shape.reduce((product, extent) => product * extent, 1);
    const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * (strides[axis] ?? 0), offset);
    const fits = size === 0 || (isCount(last) && last < storage.length);
    if (
      ![offset, size, ...shape, ...strides].every(isCount) ||
      shape.length !== strides.length ||
      shape.length > maximumAxes ||
      !fits
    ) {
      throw new EvenkeelError(
        "file",
        `${source}: a tensor [${shape.join(", ")}] of strides [${strides.join(", ")}] from ${offset} on does not lie in its ` +
          `storage of ${storage.length} elements.`,
      );
    }
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
    this.byteLength = size * elementBytes[storage.dtype];
  }

  /**
   * A copy of its elements, row-major.
   * @throws EvenkeelError `file` if a BOOL element is neither 0 nor 1.
   */
  copy(name: string, source: string): StoredTensor {
    const { dtype, bytes } = this.storage;
    const width = elementBytes[dtype];
    const first = this.offset * width;
    const copied = this.#isContiguous() ? bytes.slice(first, first + this.byteLength) : this.#gather(width);
    if (dtype === "BOOL" && copied.some((byte) => byte > 1)) {
      throw new EvenkeelError("file", `${source}: tensor ${name} is BOOL and holds a byte that is neither 0 nor 1.`);
    }
    return storedTensor(name, this.shape, dtype, copied.buffer);
  }

  /** Whether its elements lie in the storage one after the other, in its own order. */
  #isContiguous(): boolean {
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      const extent = this.shape[axis] ?? 0;
      if (extent !== 1 && this.strides[axis] !== expected) return this.byteLength === 0;
      expected *= extent;
    }
    return true;
  }

  #gather(width: number): Uint8Array<ArrayBuffer> {
    const { bytes } = this.storage;
    const gathered = new Uint8Array(this.byteLength);
    const index = this.shape.map(() => 0);
    let from = this.offset * width;
    for (let to = 0; to < gathered.length; to += width) {
      for (let byte = 0; byte < width; byte++) gathered[to + byte] = bytes[from + byte] ?? 0;
      for (let axis = this.shape.length - 1; axis >= 0; axis--) {
        const extent = this.shape[axis] ?? 0;
        const stride = (this.strides[axis] ?? 0) * width;
        const at = (index[axis] ?? 0) + 1;
        from += stride;
        index[axis] = at;
        if (at < extent) break;
        from -= stride * extent;
        index[axis] = 0;
      }
    }
    return gathered;
  }
}

function storedTensor(name: string, shape: readonly number[], dtype: StorageDtype, buffer: ArrayBuffer): StoredTensor {
  switch (dtype) {
    case "F16":
    case "BF16":
      return { name, shape, dtype, data: new Uint16Array(buffer) };
    case "F32":
      return { name, shape, dtype, data: new Float32Array(buffer) };
    case "F64":
      return { name, shape, dtype, data: new Float64Array(buffer) };
    case "BOOL":
    case "U8":
      return { name, shape, dtype, data: new Uint8Array(buffer) };
    case "I8":
      return { name, shape, dtype, data: new Int8Array(buffer) };
    case "I16":
      return { name, shape, dtype, data: new Int16Array(buffer) };
    case "I32":
      return { name, shape, dtype, data: new Int32Array(buffer) };
    case "I64":
      return { name, shape, dtype, data: new BigInt64Array(buffer) };
  }
}
