import { EvenkeelError } from "../errors.ts";

/** Element types a program computes with. Files know more (see `engine/io`). */
export type DType = "f32" | "i32" | "u32" | "bool";

export const dtypes: readonly DType[] = ["f32", "i32", "u32", "bool"];

/** Host memory of a tensor. `bool` is stored as 0 or 1. */
export type TensorData = Float32Array | Int32Array | Uint32Array | Uint8Array;

export type TensorDataOf = { f32: Float32Array; i32: Int32Array; u32: Uint32Array; bool: Uint8Array };

/** True for the dtypes with exact wrapping 32-bit arithmetic. */
export function isInteger(dtype: DType): dtype is "i32" | "u32" {
  return dtype === "i32" || dtype === "u32";
}

/** Host memory for `length` elements of `dtype`, all zero. */
export function allocateData<D extends DType>(dtype: D, length: number): TensorDataOf[D];
export function allocateData(dtype: DType, length: number): TensorData {
  switch (dtype) {
    case "f32":
      return new Float32Array(length);
    case "i32":
      return new Int32Array(length);
    case "u32":
      return new Uint32Array(length);
    case "bool":
      return new Uint8Array(length);
  }
}

/** The dtype whose host memory `data` is. Uint8Array is the memory of `bool`. */
export function dtypeOfData(data: TensorData): DType {
  if (data instanceof Float32Array) return "f32";
  if (data instanceof Int32Array) return "i32";
  if (data instanceof Uint32Array) return "u32";
  return "bool";
}

/**
 * A number as an element of `dtype`: f32 is left alone (the device rounds it), i32 and u32 must hold it exactly.
 * @throws EvenkeelError `value` if an integer or bool dtype can't hold `value`, or if it is no number.
 */
export function checkElement(operation: string, value: number, dtype: DType): number {
  if (typeof value !== "number") {
    throw new EvenkeelError("value", `${operation}: ${String(value)} is not a number.`);
  }
  if (dtype === "f32") return value;
  const [low, high] = dtype === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : dtype === "u32" ? [0, 2 ** 32 - 1] : [0, 1];
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new EvenkeelError(
      "value",
      `${operation}: ${value} is not a ${dtype} value (whole numbers from ${low} to ${high}). Round or clamp it first, or use dtype f32.`,
    );
  }
  return value;
}
