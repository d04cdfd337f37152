/** Shared by the tests of files: arbitrary tensors of every dtype, and files put together by hand. */
import fc from "fast-check";
import { bytesPerElement, type FileDType, fileDTypes, type WritableTensor } from "../../../engine/io/index.ts";
import { viewData } from "../../../engine/io/fileDtype.ts";

/** A file of this header text and data, whatever nonsense they are. */
export function handMade(header: string | Uint8Array, data: Uint8Array | number = 0): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const body = typeof data === "number" ? new Uint8Array(data) : data;
  const file = new Uint8Array(8 + text.length + body.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(body, 8 + text.length);
  return file;
}

type Builders = { readonly [D in FileDType]: (shape: readonly number[], bytes: Uint8Array) => WritableTensor };

function builder<D extends FileDType>(dtype: D) {
  return (shape: readonly number[], bytes: Uint8Array) => ({ dtype, shape, data: viewData(dtype, bytes) });
}

const builders: Builders = {
  BOOL: builder("BOOL"),
  U8: builder("U8"),
  I8: builder("I8"),
  I16: builder("I16"),
  U16: builder("U16"),
  F16: builder("F16"),
  BF16: builder("BF16"),
  I32: builder("I32"),
  U32: builder("U32"),
  F32: builder("F32"),
  F64: builder("F64"),
  I64: builder("I64"),
  U64: builder("U64"),
};

/** A tensor of `dtype` with these bytes; BOOL takes the lowest bit of each. */
export function tensorOfBytes(dtype: FileDType, shape: readonly number[], bytes: Uint8Array): WritableTensor {
  return builders[dtype](shape, dtype === "BOOL" ? bytes.map((byte) => byte & 1) : bytes);
}

export const shapes: fc.Arbitrary<readonly number[]> = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });

/** A tensor of `dtype`, any bits, any small shape, [] and sizes of 0 among them. */
export function tensors(dtype: FileDType): fc.Arbitrary<WritableTensor> {
  return shapes.chain((shape) => {
    const length = shape.reduce((product, size) => product * size, bytesPerElement(dtype));
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => tensorOfBytes(dtype, shape, bytes));
  });
}

/** Names, among them ones that trip up objects, JSON and sorting. */
export const names = fc
  .oneof(
    fc.constantFrom(
      "",
      "__proto__",
      "constructor",
      "0",
      "10",
      "a/b.weight",
      'quo"te\\',
      "\u0000\n",
      "é",
      "\uffff",
      "😀",
    ),
    fc.string({ unit: "binary", maxLength: 12 }),
  )
  .filter((name) => name !== "__metadata__");

export const namedTensors: fc.Arbitrary<[string, WritableTensor][]> = fc.uniqueArray(
  fc.tuple(names, fc.constantFrom(...fileDTypes).chain(tensors)),
  { selector: ([name]) => name, maxLength: 6 },
);

export const metadatas: fc.Arbitrary<[string, string][]> = fc.uniqueArray(
  fc.tuple(fc.oneof(names, fc.constant("__metadata__")), fc.string({ unit: "binary" })),
  { selector: ([key]) => key, maxLength: 3 },
);

/** The bytes behind a typed array. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
