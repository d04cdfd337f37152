import { EvenkeelError } from "../../../errors.ts";
import { type DType, isInteger } from "../../../graph/dtype.ts";
import type { BinaryOp, CompareOp } from "../../../graph/node.ts";
import { type FunctionBuilder, i32 } from "../assembler/index.ts";
import { fmod, truncateDivide } from "./division.ts";
import { power } from "./power.ts";
import { threefry } from "./threefry.ts";
import { requireFloat } from "./unary.ts";

/**
 * Applies `operation` to the two vectors of `dtype` on top of the stack.
 * @throws EvenkeelError `dtype` if it has no meaning there.
 */
export function emitBinary(f: FunctionBuilder, operation: BinaryOp, dtype: DType): void {
  const isFloat = dtype === "f32";
  switch (operation) {
    case "add":
      return f.op(isFloat ? "f32x4.add" : "i32x4.add");
    case "subtract":
      return f.op(isFloat ? "f32x4.sub" : "i32x4.sub");
    case "multiply":
      return f.op(isFloat ? "f32x4.mul" : "i32x4.mul");
    case "divide":
      requireFloat(operation, dtype);
      return f.op("f32x4.div");
    case "truncateDivide":
      return emitTruncateDivide(f, dtype);
    case "fmod":
      requireFloat(operation, dtype);
      return f.call(f.module.define("fmod", ["v128", "v128"], ["v128"], (g, x, y) => g.emit(fmod(g, x, y))));
    case "power":
      requireFloat(operation, dtype);
      return f.call(f.module.define("power", ["v128", "v128"], ["v128"], (g, x, y) => g.emit(power(g, x, y))));
    case "maximum":
      return f.op(isFloat ? "f32x4.max" : dtype === "i32" ? "i32x4.max_s" : "i32x4.max_u");
    case "minimum":
      return f.op(isFloat ? "f32x4.min" : dtype === "i32" ? "i32x4.min_s" : "i32x4.min_u");
    case "and":
      return f.op("v128.and");
    case "or":
      return f.op("v128.or");
    case "xor":
      return f.op("v128.xor");
  }
}

function emitTruncateDivide(f: FunctionBuilder, dtype: DType): void {
  if (!isInteger(dtype)) {
    throw new EvenkeelError("dtype", `wasm: truncateDivide of ${dtype} vectors; it is only defined for i32 and u32.`);
  }
  const name = dtype === "i32" ? "truncateDivideSigned" : "truncateDivideUnsigned";
  f.call(
    f.module.define(name, ["v128", "v128"], ["v128"], (g, x, y) => g.emit(truncateDivide(g, x, y, dtype === "i32"))),
  );
}

/**
 * Compares the two vectors of `dtype` on top of the stack and leaves a mask. NaN is `notEqual` to all and nothing else;
 * false is less than true.
 */
export function emitCompare(f: FunctionBuilder, operation: CompareOp, dtype: DType): void {
  switch (operation) {
    case "less":
      return f.op(dtype === "f32" ? "f32x4.lt" : dtype === "i32" ? "i32x4.lt_s" : "i32x4.lt_u");
    case "lessEqual":
      return f.op(dtype === "f32" ? "f32x4.le" : dtype === "i32" ? "i32x4.le_s" : "i32x4.le_u");
    case "equal":
      return f.op(dtype === "f32" ? "f32x4.eq" : "i32x4.eq");
    case "notEqual":
      return f.op(dtype === "f32" ? "f32x4.ne" : "i32x4.ne");
  }
}

/** Takes (condition, x, y) from the stack and leaves `condition ? x : y`. */
export function emitSelect(f: FunctionBuilder): void {
  const y = f.let("v128", "y");
  const x = f.let("v128", "x");
  const condition = f.let("v128", "condition");
  f.op("v128.bitselect", x, y, condition);
}

/** Shifts the vector on top of the stack by `amount`, 0..31. `right` keeps the sign of an i32 only. */
export function emitShift(f: FunctionBuilder, direction: "left" | "right", amount: number, dtype: DType): void {
  f.op(direction === "left" ? "i32x4.shl" : dtype === "i32" ? "i32x4.shr_s" : "i32x4.shr_u", i32(amount));
}

/** Takes (key0, key1, counter0, counter1) from the stack and leaves both words of the block, word 1 on top. */
export function emitThreefryBlock(f: FunctionBuilder): void {
  f.call(
    f.module.define(
      "threefry",
      ["v128", "v128", "v128", "v128"],
      ["v128", "v128"],
      (g, key0, key1, counter0, counter1) => threefry(g, { key0, key1, counter0, counter1 }),
    ),
  );
}

/** Takes (key0, key1, counter0, counter1) from the stack and leaves word `word` of the Threefry-2x32-20 block. */
export function emitThreefry(f: FunctionBuilder, word: 0 | 1): void {
  emitThreefryBlock(f);
  if (word === 0) return f.op("drop");
  const word1 = f.let("v128", "word1");
  f.op("drop");
  f.get(word1);
}
