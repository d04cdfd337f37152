/** Numbers and lists of them in Python's spelling. */
import type { DType, TensorData } from "../engine/graph/dtype.ts";
import type { Shape } from "../engine/graph/shape.ts";

export const torchDtypes: { readonly [D in DType]: string } = {
  f32: "torch.float32",
  i32: "torch.int32",
  u32: "torch.int64",
  bool: "torch.bool",
};

/** An element of `dtype`; what float32 doesn't hold is infinite. */
export function numeral(value: number, dtype: DType): string {
  if (dtype === "bool") return value === 0 ? "False" : "True";
  if (dtype !== "f32") return String(value);
  if (!Number.isFinite(Math.fround(value)))
    return `float("${Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf"}")`;
  if (Object.is(value, -0)) return "-0.0";
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : String(value);
}

/** `(2, 3)`, and `(2,)` of one. */
export function tuple(numbers: readonly (number | string)[]): string {
  return numbers.length === 1 ? `(${numbers[0]},)` : `(${numbers.join(", ")})`;
}

/** Elements that are written as numbers; longer constants are written as their bytes. */
const mostNumbers = 32;

/** The call that makes a constant. */
export function constantText(data: TensorData, shape: Shape, dtype: DType): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const text =
    data.length <= mostNumbers
      ? `[${Array.from(data, (value) => numeral(value, dtype)).join(", ")}]`
      : `"${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}"`;
  return `constant(${text}, ${tuple(shape)}, ${torchDtypes[dtype]}, device)`;
}
