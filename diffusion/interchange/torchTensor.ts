import { EvenkeelError, type StoredTensor } from "../../engine/index.ts";

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

  /** @throws EvenkeelError `file` unless every element lies in the storage and there are no more than it has. */
  constructor(
    storage: TorchStorage,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
    source: string,
  ) {
    const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
    const size = shape.reduce((product, extent) => product * extent, 1);
    const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * (strides[axis] ?? 0), offset);
    const fits = size === 0 || (Number.isSafeInteger(last) && last < storage.length && size <= storage.length);
    if (
      ![offset, ...shape, ...strides].every(isCount) ||
      shape.length !== strides.length ||
      shape.length > 64 ||
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
  }

  /** Bytes that a copy takes. */
  get byteLength(): number {
    return this.shape.reduce((product, extent) => product * extent, elementBytes[this.storage.dtype]);
  }

  /** A copy of its elements, row-major. */
  copy(name: string): StoredTensor {
    const { dtype, bytes } = this.storage;
    const width = elementBytes[dtype];
    const copied = new Uint8Array(this.byteLength);
    const index = this.shape.map(() => 0);
    let from = this.offset;
    for (let to = 0; to < copied.length; to += width) {
      copied.set(bytes.subarray(from * width, (from + 1) * width), to);
      for (let axis = this.shape.length - 1; axis >= 0; axis--) {
        const [extent, stride, at] = [this.shape[axis] ?? 0, this.strides[axis] ?? 0, (index[axis] ?? 0) + 1];
        from += stride;
        index[axis] = at;
        if (at < extent) break;
        from -= stride * extent;
        index[axis] = 0;
      }
    }
    return storedTensor(name, this.shape, dtype, copied.buffer);
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
