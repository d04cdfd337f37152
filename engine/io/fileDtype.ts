/** Element types of safetensors files, and the host memory each is read into. */

/**
 * Host memory by file dtype. BOOL holds 0 or 1. F16 and BF16 stay as their 16 bits; `toFloat32` widens them.
 */
export type FileDataOf = {
  BOOL: Uint8Array;
  U8: Uint8Array;
  I8: Int8Array;
  I16: Int16Array;
  U16: Uint16Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I32: Int32Array;
  U32: Uint32Array;
  F32: Float32Array;
  F64: Float64Array;
  I64: BigInt64Array;
  U64: BigUint64Array;
};

/** Types that a safetensors file can hold and that are read here. */
export type FileDType = keyof FileDataOf;

/** Bytes of one element. The order is the format's own, of growing alignment; it fixes the order of data in a file. */
const elementBytes: { readonly [D in FileDType]: number } = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
};

/** Every dtype that is read and written, in order of growing alignment. */
export const fileDTypes = Object.keys(elementBytes) as readonly FileDType[];

/**
 * Bits of an element of the format's other dtypes. They have no exact host array, and reading them as bytes would hide that nothing here can
 * compute with them: a file may hold them, and its other tensors are read.
 */
const foreignBits = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  C64: 64,
};

/** A dtype of the format whose tensors aren't read. */
export type ForeignDType = keyof typeof foreignBits;

export function isForeignDType(name: string): name is ForeignDType {
  return Object.hasOwn(foreignBits, name);
}

/**
 * Bits of one element of any dtype of the format.
 * @example console.log(bitsPerElement("BF16"), bitsPerElement("F32")); // 16 32
 */
export function bitsPerElement(dtype: FileDType | ForeignDType): number {
  return isForeignDType(dtype) ? foreignBits[dtype] : 8 * elementBytes[dtype];
}

export function isFileDType(name: string): name is FileDType {
  return Object.hasOwn(elementBytes, name);
}

/**
 * Bytes of one element.
 * @example console.log(bytesPerElement("F16")); // 2
 */
export function bytesPerElement(dtype: FileDType): number {
  return elementBytes[dtype];
}

type ViewOf<D extends FileDType> = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => FileDataOf[D];

const views: { readonly [D in FileDType]: ViewOf<D> } = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  I16: Int16Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I32: Int32Array,
  U32: Uint32Array,
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
};

/**
 * `bytes` as elements of `dtype`: a view where they are aligned in their buffer, a copy where they are not.
 * @example console.log(viewData("U16", Uint8Array.of(1, 0, 0, 1))); // Uint16Array(2) [ 1, 256 ]
 */
export function viewData<D extends FileDType>(dtype: D, bytes: Uint8Array): FileDataOf[D] {
  const size = elementBytes[dtype];
  // Not by `slice`, which on Node's Buffer is a view.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new views[dtype](aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}
