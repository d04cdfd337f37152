import type { DType } from "../../../graph/dtype.ts";
import { type Code, f32x4, type FunctionBuilder, i32x4 } from "../assembler/index.ts";

/**
 * Casts the vector on top of the stack. To an integer: truncates and saturates, NaN gives 0. To bool: is it not zero
 * (NaN is not). From bool: 0 or 1. To f32: rounded to nearest. Between i32 and u32: same bits.
 */
export function emitCast(f: FunctionBuilder, from: DType, to: DType): void {
  if (from === to) return;
  switch (to) {
    case "f32":
      if (from === "bool") return f.op("v128.and", f32x4(1));
      return f.op(from === "i32" ? "f32x4.convert_i32x4_s" : "f32x4.convert_i32x4_u");
    case "i32":
    case "u32":
      if (from === "bool") return f.op("v128.and", i32x4(1));
      if (from === "f32") f.op(to === "i32" ? "i32x4.trunc_sat_f32x4_s" : "i32x4.trunc_sat_f32x4_u");
      return;
    case "bool":
      return from === "f32" ? f.op("f32x4.ne", f32x4(0)) : f.op("i32x4.ne", i32x4(0));
  }
}

/** Four lanes of `value`; bool as a mask. */
export function literal(value: number, dtype: DType): Code {
  switch (dtype) {
    case "f32":
      return f32x4(value);
    case "i32":
    case "u32":
      return i32x4(value);
    case "bool":
      return i32x4(value === 0 ? 0 : -1);
  }
}

export function emitLiteral(f: FunctionBuilder, value: number, dtype: DType): void {
  f.emit(literal(value, dtype));
}
