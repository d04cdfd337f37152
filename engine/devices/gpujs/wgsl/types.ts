/** WGSL's names for what the kernel language computes with. */
import type { DType } from "../../../graph/dtype.ts";

/** Values side by side in one variable. */
export type Lanes = 1 | 4;

const scalarTypes: Readonly<Record<DType, string>> = { f32: "f32", i32: "i32", u32: "u32", bool: "bool" };

/** The type of a value of `lanes` elements. */
export const valueType = (dtype: DType, lanes: Lanes): string =>
  lanes === 1 ? scalarTypes[dtype] : `vec${lanes}<${scalarTypes[dtype]}>`;

/** The type of `lanes` elements in a buffer: a bool is a word of 0 or 1 there. */
export const storedType = (dtype: DType, lanes: Lanes): string => valueType(dtype === "bool" ? "u32" : dtype, lanes);

/** A value of `lanes` equal elements. */
export const splat = (text: string, dtype: DType, lanes: Lanes): string =>
  lanes === 1 ? text : `${valueType(dtype, lanes)}(${text})`;

/** A number that is known at compile time, as text that may stand beside others in an expression; f32 ones finite and normal or +0. */
export function numeral(value: number, dtype: DType): string {
  switch (dtype) {
    case "f32":
      return value < 0 ? `(-${decimal(-value)})` : decimal(value);
    case "i32":
      // The smallest has no literal of its own.
      return value === -(2 ** 31) ? "(-2147483647i - 1i)" : value < 0 ? `(${value}i)` : `${value}i`;
    case "u32":
      return `${value}u`;
    case "bool":
      return value === 0 ? "false" : "true";
  }
}

/** A whole-number text would be an integer, hence the `f`; the nearest f32 of the shortest decimal is the number itself. */
const decimal = (value: number): string => `${Math.fround(value)}f`;
