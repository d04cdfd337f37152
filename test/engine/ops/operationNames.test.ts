/** An error names the operation that was called, not the one that it is made of, what it got and what it wanted. */
import { describe, it } from "node:test";
import type { ErrorCode } from "../../../engine/index.ts";
import * as ops from "../../../engine/index.ts";
import { refuses } from "../../support/plain.ts";

const [f32, i32, bool] = (["f32", "i32", "bool"] as const).map((dtype) => ops.zeros([2], dtype)) as [
  ops.Tensor,
  ops.Tensor,
  ops.Tensor,
];
const longer = ops.zeros([3]);

const cases: readonly (readonly [() => unknown, ErrorCode, RegExp])[] = [
  [() => ops.greater(bool, bool), "dtype", /^greater: dtype bool is not supported, expected f32 or i32 or u32/],
  [() => ops.greaterEqual(bool, bool), "dtype", /^greaterEqual: dtype bool/],
  [() => ops.greater(f32, longer), "shape", /^greater: shapes \[2\] and \[3\]/],
  [() => ops.greaterEqual(f32, i32), "dtype", /^greaterEqual: dtypes differ: f32 \[2\] and i32 \[2\]/],
  [() => ops.greater(i32, 0.5), "value", /^greater: 0\.5 is not a i32 value/],
  [() => ops.clamp(i32, 0.5, 1), "value", /^clamp: 0\.5 is not a i32 value/],
  [() => ops.clamp(f32, 0, i32), "dtype", /^clamp: dtypes differ: f32 \[2\] and i32 \[2\]/],
  [() => ops.clamp(f32, longer, 1), "shape", /^clamp: shapes \[2\] and \[3\]/],
  [() => ops.clamp(bool, 0, 1), "dtype", /^clamp: dtype bool is not supported/],
  [() => ops.square(bool), "dtype", /^square: dtype bool/],
  [() => ops.reciprocal(i32), "dtype", /^reciprocal: dtype i32 is not supported, expected f32/],
  [() => ops.rsqrt(i32), "dtype", /^rsqrt: dtype i32/],
  [() => ops.silu(i32), "dtype", /^silu: dtype i32/],
  [() => ops.relu(bool), "dtype", /^relu: dtype bool/],
  [() => ops.shiftLeft(i32, 32), "range", /^shiftLeft: amount 32 is not a whole number from 0 to 31/],
  [() => ops.shiftRight(i32, -1), "range", /^shiftRight: amount -1 is not/],
  [() => ops.shiftRight(i32, 0.5), "range", /^shiftRight: amount 0\.5 is not/],
  [() => ops.shiftLeft(f32, 1), "dtype", /^shiftLeft: dtype f32 is not supported, expected i32 or u32/],
  [() => ops.randomBits(f32, [2]), "shape", /^randomBits: a key is u32 \[\.\., 2\], got f32 \[2\]/],
  [() => ops.randomUniform(f32, [2]), "shape", /^randomUniform: a key is u32/],
  [() => ops.randomBernoulli(f32, [2], 0.5), "shape", /^randomBernoulli: a key is u32/],
  [() => ops.randomNormal(ops.randomKey(1), [0.5]), "shape", /^randomNormal: size 0\.5 in \[0\.5\]/],
  [() => ops.randomPermutation(ops.randomKey(1), -3), "shape", /^randomPermutation: size -3/],
  [() => ops.stack([f32, i32]), "dtype", /^stack: dtypes differ: f32 and i32/],
  [() => ops.split(f32, [0.5, 1.5]), "shape", /^split: sizes \[0\.5, 1\.5\] .* whole numbers/],
  [() => ops.einsum("i,i->", i32, i32), "dtype", /^einsum: dtype i32 is not supported, expected f32/],
  [() => ops.matmul(f32, i32), "dtype", /^matmul: dtype i32 is not supported, expected f32/],
  [
    () => ops.conv2d(ops.zeros([1, 1, 2, 2]), ops.zeros([1, 1, 1, 1], "i32")),
    "dtype",
    /^conv2d \(w\): dtype i32 is not supported, expected f32/,
  ],
  [
    () => ops.matmul(ops.zeros([8, 16]), ops.zeros([32, 4])),
    "shape",
    /^matmul: inner dimensions differ: \[8, 16\] @ \[32, 4\]\.$/,
  ],
];

describe("errors name the operation that was called", () => {
  for (const [action, code, message] of cases) it(message.source, () => refuses(action, code, message));
});
