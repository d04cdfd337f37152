import { EvenkeelError } from "../../../errors.ts";
import type { DType } from "../../../graph/dtype.ts";
import type { UnaryOp } from "../../../graph/node.ts";
import { type Code, f32x4, type FunctionBuilder, i32, i32x4, type Local, op } from "../assembler/index.ts";
import { atan } from "./arctangent.ts";
import { erf } from "./errorFunction.ts";
import { exp, expm1, sigmoid, tanh } from "./exponential.ts";
import { absolute, and, choose, or, signBit } from "./lanes.ts";
import { log, log1p } from "./logarithm.ts";
import { cos, sin } from "./trigonometric.ts";

/** Long functions that are written out in place: they are everywhere in networks, and a call takes as long as half of one. */
export const longInPlace: ReadonlySet<UnaryOp> = new Set(["exp", "log", "tanh", "sigmoid"]);

/**
 * Applies `operation` to the vector of `dtype` on top of the stack.
 * @throws EvenkeelError `dtype` if it has no meaning there.
 */
export function emitUnary(f: FunctionBuilder, operation: UnaryOp, dtype: DType): void {
  switch (operation) {
    case "negate":
      return f.op(dtype === "f32" ? "f32x4.neg" : "i32x4.neg");
    case "absolute":
      if (dtype === "f32") f.op("f32x4.abs");
      else if (dtype === "i32") f.op("i32x4.abs");
      return;
    case "sign":
      return emitSign(f, dtype);
    case "not":
      return f.op("v128.not");
    case "floor":
      requireFloat(operation, dtype);
      return f.op("f32x4.floor");
    case "sqrt":
      requireFloat(operation, dtype);
      return f.op("f32x4.sqrt");
    case "isFinite":
      requireFloat(operation, dtype);
      f.op("f32x4.abs");
      return f.op("f32x4.lt", f32x4(Infinity));
    case "isNaN": {
      requireFloat(operation, dtype);
      const x = f.let("v128", "x");
      return f.op("f32x4.ne", x, x);
    }
    case "roundToFloat16":
      requireFloat(operation, dtype);
      return emitRoundToFloat16(f);
    case "exp":
    case "log":
    case "tanh":
    case "sigmoid": {
      requireFloat(operation, dtype);
      const x = f.let("v128", "x");
      return f.emit(transcendentals[operation](f, x));
    }
    case "expm1":
    case "log1p":
    case "sin":
    case "cos":
    case "atan":
    case "erf": {
      requireFloat(operation, dtype);
      const body = transcendentals[operation];
      return f.call(f.module.define(operation, ["v128"], ["v128"], (g, x) => g.emit(body(g, x))));
    }
  }
}

type Transcendental = "exp" | "expm1" | "log" | "log1p" | "sin" | "cos" | "atan" | "tanh" | "sigmoid" | "erf";

const transcendentals: { readonly [K in Transcendental]: (f: FunctionBuilder, x: Local) => Code } = {
  exp,
  expm1,
  log,
  log1p,
  sin,
  cos,
  atan,
  tanh,
  sigmoid,
  erf,
};

function emitSign(f: FunctionBuilder, dtype: DType): void {
  switch (dtype) {
    case "f32": {
      const x = f.let("v128", "x");
      // Zeros keep their sign and NaN stays.
      const isOrdered = op("f32x4.gt", absolute(x), f32x4(0));
      return f.emit(choose(isOrdered, or(and(x, signBit), f32x4(1)), x));
    }
    case "i32":
      f.op("i32x4.min_s", i32x4(1));
      return f.op("i32x4.max_s", i32x4(-1));
    case "u32":
      return f.op("i32x4.min_u", i32x4(1));
    case "bool":
      return;
  }
}

/** On bits: 13 of the 23 behind the point go. */
function emitRoundToFloat16(f: FunctionBuilder): void {
  const x = f.let("v128", "x");
  const magnitude = f.let("v128", "magnitude", and(x, i32x4(0x7fff_ffff)));
  const lastKept = and(op("i32x4.shr_u", magnitude, i32(13)), i32x4(1));
  const nearest = and(op("i32x4.add", op("i32x4.add", magnitude, i32x4(0xfff)), lastKept), i32x4(0xffff_e000));
  const normal = f.let("v128", "normal", op("i32x4.max_s", nearest, i32x4(0x3880_0000)));
  const unlessLarge = choose(op("i32x4.gt_s", normal, i32x4(0x477f_ffff)), i32x4(0x7f80_0000), normal);
  const unlessSmall = and(unlessLarge, op("i32x4.gt_s", magnitude, i32x4(0x387f_dfff)));
  const signed = or(unlessSmall, and(x, signBit));
  f.emit(choose(op("f32x4.ne", x, x), x, signed));
}

export function requireFloat(operation: string, dtype: DType): void {
  if (dtype !== "f32") {
    throw new EvenkeelError("dtype", `wasm: ${operation} of ${dtype} vectors; it is only defined for f32. Cast first.`);
  }
}
