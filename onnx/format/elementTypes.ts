/** The types of elements that ONNX knows, by the codes of `TensorProto.DataType`. */

/** Types of which values can be read from a file. */
export type ElementType =
  | "f32"
  | "f64"
  | "f16"
  | "bf16"
  | "i8"
  | "i16"
  | "i32"
  | "i64"
  | "u8"
  | "u16"
  | "u32"
  | "u64"
  | "bool"
  | "string";

const readable: { readonly [code: number]: ElementType } = {
  1: "f32",
  2: "u8",
  3: "i8",
  4: "u16",
  5: "i16",
  6: "i32",
  7: "i64",
  8: "string",
  9: "bool",
  10: "f16",
  11: "f64",
  12: "u32",
  13: "u64",
  16: "bf16",
};

/** The others, for messages. */
const others: { readonly [code: number]: string } = {
  0: "undefined",
  14: "complex64",
  15: "complex128",
  17: "float8e4m3fn",
  18: "float8e4m3fnuz",
  19: "float8e5m2",
  20: "float8e5m2fnuz",
  21: "uint4",
  22: "int4",
  23: "float4e2m1",
};

/** The type of a code, undefined if its values can't be read. */
export const elementTypeOf = (code: number): ElementType | undefined =>
  Object.hasOwn(readable, code) ? readable[code] : undefined;

const codes = new Map(Object.entries(readable).map(([code, type]) => [type, Number(code)]));

/** The code of a type. */
export function typeCodeOf(type: ElementType): number {
  const code = codes.get(type);
  if (code === undefined) throw new RangeError(`${type} has no code`);
  return code;
}

/** What a code that can't be read is called. */
export const foreignTypeName = (code: number): string =>
  (Object.hasOwn(others, code) ? others[code] : undefined) ?? `number ${code}`;

export const isFloatType = (type: ElementType): boolean => ["f32", "f64", "f16", "bf16"].includes(type);
export const isSignedType = (type: ElementType): boolean => ["i8", "i16", "i32", "i64"].includes(type);
export const isUnsignedType = (type: ElementType): boolean => ["u8", "u16", "u32", "u64"].includes(type);

/** The smallest and the largest value of an integer type. */
export function rangeOf(type: ElementType): readonly [number, number] {
  const bits = Number(type.slice(1));
  return isSignedType(type) ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}
