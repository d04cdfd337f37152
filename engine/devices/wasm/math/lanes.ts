/** Short names for arithmetic on four f32 or i32 lanes, so that formulas read as formulas. */
import {
  type Code,
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  type Local,
  op,
  type Operand,
} from "../assembler/index.ts";

export const add = (x: Operand, y: Operand): Code => op("f32x4.add", x, y);
export const subtract = (x: Operand, y: Operand): Code => op("f32x4.sub", x, y);
export const multiply = (x: Operand, y: Operand): Code => op("f32x4.mul", x, y);
export const divide = (x: Operand, y: Operand): Code => op("f32x4.div", x, y);
export const absolute = (x: Operand): Code => op("f32x4.abs", x);

export const and = (x: Operand, y: Operand): Code => op("v128.and", x, y);
export const or = (x: Operand, y: Operand): Code => op("v128.or", x, y);
export const xor = (x: Operand, y: Operand): Code => op("v128.xor", x, y);

/** `condition ? x : y` in each bit. */
export const choose = (condition: Operand, x: Operand, y: Operand): Code => op("v128.bitselect", x, y, condition);

/** The smaller one; NaN if x is NaN. (One machine instruction, unlike f32x4.min.) */
export const atMost = (x: Operand, limit: number): Code => op("f32x4.pmin", x, f32x4(limit));
/** The larger one; NaN if x is NaN. */
export const atLeast = (x: Operand, limit: number): Code => op("f32x4.pmax", x, f32x4(limit));

export const signBit: Code = i32x4(0x8000_0000);

/** Names the value of an expression. */
export function bind(f: FunctionBuilder, name: string, value: Operand): Local {
  return f.let("v128", name, value);
}

/** coefficients[0] + coefficients[1] x + ..., by Horner's rule. At least one coefficient. */
export function polynomial(x: Operand, coefficients: readonly number[]): Code {
  return coefficients.reduceRight<Code>(
    (sum, coefficient) => (sum.length === 0 ? f32x4(coefficient) : add(multiply(sum, x), f32x4(coefficient))),
    [],
  );
}

/** 2^n of an integer vector n, -126 <= n <= 127: n put where a float32 keeps its exponent. */
export function powerOfTwo(n: Operand): Code {
  return op("i32x4.shl", op("i32x4.add", n, i32x4(127)), i32(23));
}
