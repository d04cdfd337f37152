import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DType } from "../../../engine/graph/dtype.ts";
import { printGraph } from "../../../engine/graph/print.ts";
import * as ops from "../../../engine/index.ts";
import { type Tensor, tensor } from "../../../engine/index.ts";
import { arraysOf, broadcastingShapes } from "../../../testing/arbitraries/arrays.ts";
import { assertValue, build, pickBroadcast, type Plain, refuses, toTensor } from "../../support/plain.ts";

const vector = (...values: number[]): Plain => ({ shape: [values.length], values });
const scalarOf = (value: number): Plain => ({ shape: [], values: [value] });
const f32 = (...values: number[]): Tensor => toTensor(vector(...values));
const i32 = (...values: number[]): Tensor => toTensor(vector(...values), "i32");
const u32 = (...values: number[]): Tensor => toTensor(vector(...values), "u32");
const bool = (...values: number[]): Tensor => toTensor(vector(...values), "bool");
const lowest = -(2 ** 31);
const highest = 2 ** 31 - 1;
const everyBit = 2 ** 32 - 1;

describe("broadcasting", () => {
  it("follows NumPy: sizes equal or 1, aligned from the last axis", () => {
    const operands = broadcastingShapes.chain(({ a, b, result }) =>
      fc.record({ x: arraysOf(a), y: arraysOf(b), result: fc.constant(result) }),
    );
    fc.assert(
      fc.property(operands, ({ x, y, result }) => {
        const [left, right] = [toTensor(x), toTensor(y)];
        const expected = (f: (a: number, b: number) => number): Plain =>
          build(result, (place) => f(pickBroadcast(x, place), pickBroadcast(y, place)));
        assertValue(
          ops.subtract(left, right),
          expected((a, b) => a - b),
        );
        assertValue(
          ops.less(left, right),
          expected((a, b) => Number(a < b)),
          "bool",
        );
        assertValue(
          ops.where(ops.less(left, right), left, right),
          expected((a, b) => Math.min(a, b)),
        );
      }),
    );
  });

  it("of three operands takes all of them into account", () => {
    const [condition, x, y] = [bool(1, 0), f32(1, 2, 3), f32(7)];
    const expected = { shape: [2, 3], values: [1, 2, 3, 7, 7, 7] };
    assertValue(ops.where(ops.reshape(condition, [2, 1]), x, y), expected);
  });

  it("refuses other sizes and names them", () => {
    for (const operation of [ops.add, ops.power, ops.maximum, ops.less, ops.equal] as const) {
      refuses(() => operation(ops.zeros([2, 3]), ops.zeros([2, 4])), "shape", /\[2, 3\] and \[2, 4\].*3 against 4/);
    }
    refuses(() => ops.add(ops.zeros([0]), ops.zeros([2])), "shape", /^add: .*0 against 2/);
    refuses(() => ops.where(bool(1, 0, 1), f32(1, 2), 0), "shape", /^where: shapes \[3\] and \[2\]/);
  });
});

describe("numbers beside tensors", () => {
  it("take the tensor's dtype, on either side", () => {
    assertValue(ops.subtract(10, i32(3, 4)), vector(7, 6), "i32");
    assertValue(ops.add(u32(everyBit), 2), vector(1), "u32");
    assertValue(ops.and(bool(1, 0), 1), vector(1, 0), "bool");
    assertValue(ops.add(1, 2), scalarOf(3));
    assertValue(ops.less(1, 2), scalarOf(1), "bool");
  });

  it("must be values of that dtype", () => {
    refuses(() => ops.add(i32(1), 0.5), "value", /^add: 0\.5 is not a i32 value/);
    refuses(() => ops.multiply(u32(1), -1), "value", /^multiply: -1 is not a u32 value.*0 to 4294967295/);
    refuses(() => ops.maximum(i32(1), NaN), "value", /NaN/);
    refuses(() => ops.or(bool(1), 2), "value", /^or: 2/);
    refuses(() => ops.where(bool(1), i32(1), Infinity), "value", /^where: Infinity/);
  });
});

describe("dtypes", () => {
  it("must be equal", () => {
    refuses(() => ops.add(f32(1), i32(1)), "dtype", /^add: dtypes differ: f32 \[1\] and i32 \[1\]/);
    refuses(() => ops.where(bool(1), f32(1), u32(1)), "dtype", /^where: dtypes differ/);
  });

  it("must be those of the operation", () => {
    const cases: readonly (readonly [string, () => Tensor])[] = [
      ["divide", () => ops.divide(i32(1), i32(1))],
      ["power", () => ops.power(bool(1), bool(1))],
      ["erf", () => ops.erf(i32(1))],
      ["truncateDivide", () => ops.truncateDivide(bool(1), bool(1))],
      ["add", () => ops.add(bool(1), bool(1))],
      ["maximum", () => ops.maximum(bool(1), bool(0))],
      ["less", () => ops.less(bool(1), bool(0))],
      ["and", () => ops.and(f32(1), f32(1))],
      ["not", () => ops.not(f32(1))],
      ["negate", () => ops.negate(bool(1))],
      ["absolute", () => ops.absolute(bool(1))],
      ["exp", () => ops.exp(i32(1))],
      ["floor", () => ops.floor(i32(1))],
      ["isNaN", () => ops.isNaN(i32(1))],
      ["isFinite", () => ops.isFinite(bool(1))],
      ["shiftLeft", () => ops.shiftLeft(f32(1), 1)],
      ["shiftRight", () => ops.shiftRight(bool(1), 1)],
      ["where \\(condition\\)", () => ops.where(f32(1), 1, 2)],
    ];
    for (const [name, action] of cases) refuses(action, "dtype", new RegExp(`^${name}: dtype \\w+ is not supported`));
  });
});

describe("arithmetic", () => {
  it("of integers wraps modulo 2^32", () => {
    assertValue(ops.add(i32(highest, lowest), i32(1, -1)), vector(lowest, highest), "i32");
    assertValue(ops.subtract(u32(0, 5), u32(1, 3)), vector(everyBit, 2), "u32");
    assertValue(ops.multiply(i32(65536, -3), i32(65537, 5)), vector(65536, -15), "i32");
    assertValue(ops.multiply(u32(everyBit, 65536), u32(everyBit, 65536)), vector(1, 0), "u32");
    assertValue(ops.negate(i32(lowest, 5)), vector(lowest, -5), "i32");
    assertValue(ops.negate(u32(1, 0)), vector(everyBit, 0), "u32");
    assertValue(ops.absolute(i32(lowest, -5, 5)), vector(lowest, 5, 5), "i32");
    assertValue(ops.sign(i32(-7, 0, 7)), vector(-1, 0, 1), "i32");
  });

  it("multiplies as big integers do, modulo 2^32", () => {
    const words = fc.integer({ min: 0, max: everyBit });
    fc.assert(
      fc.property(words, words, (a, b) => {
        const product = BigInt(a) * BigInt(b);
        assertValue(ops.multiply(u32(a), u32(b)), vector(Number(BigInt.asUintN(32, product))), "u32");
        assertValue(ops.multiply(i32(a | 0), i32(b | 0)), vector(Number(BigInt.asIntN(32, product))), "i32");
      }),
    );
  });

  it("of f32 has IEEE's special values", () => {
    assertValue(ops.divide(f32(1, -1, 0, 6), f32(0, 0, 0, 4)), vector(Infinity, -Infinity, NaN, 1.5));
    assertValue(ops.maximum(f32(NaN, 1, 3), f32(1, NaN, -3)), vector(NaN, NaN, 3));
    assertValue(ops.minimum(f32(NaN, 1, 3), f32(1, NaN, -3)), vector(NaN, NaN, -3));
    assertValue(ops.power(f32(2, -2, -2, 0, 0, 1), f32(10, 3, 0.5, 0, -1, NaN)), vector(1024, -8, NaN, 1, Infinity, 1));
    assertValue(ops.power(f32(-1, NaN), f32(Infinity, 0)), vector(1, 1));
    assertValue(ops.clamp(f32(-2, 0.5, 2, NaN), -1, 1), vector(-1, 0.5, 1, NaN));
    assertValue(ops.clamp(i32(-5, 5), i32(-1, 0), 3), vector(-1, 3), "i32");
  });

  it("of one f32 is the function of that name", () => {
    const x = [-2.5, -1, -0.25, 0, 0.25, 1, 2.5].map(Math.fround);
    const functions: readonly (readonly [(x: Tensor) => Tensor, (x: number) => number])[] = [
      [ops.negate, (v) => -v],
      [ops.absolute, Math.abs],
      [ops.sign, Math.sign],
      [ops.floor, Math.floor],
      [ops.exp, Math.exp],
      [ops.expm1, Math.expm1],
      [ops.log, Math.log],
      [ops.log1p, Math.log1p],
      [ops.sqrt, Math.sqrt],
      [ops.sin, Math.sin],
      [ops.cos, Math.cos],
      [ops.tanh, Math.tanh],
      [ops.sigmoid, (v) => 1 / (1 + Math.exp(-v))],
      [ops.square, (v) => v * v],
      [ops.reciprocal, (v) => 1 / v],
      [ops.rsqrt, (v) => 1 / Math.sqrt(v)],
      [ops.silu, (v) => v / (1 + Math.exp(-v))],
      [ops.relu, (v) => Math.max(v, 0)],
    ];
    // A few roundings of float64 apart.
    for (const [operation, f] of functions) assertValue(operation(f32(...x)), vector(...x.map(f)), "f32", 1e-15);
    assertValue(ops.sigmoid(f32(-1e30, 1e30, NaN)), vector(0, 1, NaN));
    assertValue(ops.exp(2), scalarOf(Math.exp(2)));
  });
});

describe("comparison and logic", () => {
  it("with NaN is false, save notEqual", () => {
    const [x, y] = [f32(1, NaN, 2, NaN), f32(2, 1, 2, NaN)];
    assertValue(ops.less(x, y), vector(1, 0, 0, 0), "bool");
    assertValue(ops.lessEqual(x, y), vector(1, 0, 1, 0), "bool");
    assertValue(ops.greater(y, x), vector(1, 0, 0, 0), "bool");
    assertValue(ops.greaterEqual(x, y), vector(0, 0, 1, 0), "bool");
    assertValue(ops.equal(x, y), vector(0, 0, 1, 0), "bool");
    assertValue(ops.notEqual(x, y), vector(1, 1, 0, 1), "bool");
    assertValue(ops.equal(f32(0), f32(-0)), vector(1), "bool");
    assertValue(ops.isNaN(f32(NaN, Infinity, 1)), vector(1, 0, 0), "bool");
    assertValue(ops.isFinite(f32(NaN, -Infinity, 1)), vector(0, 0, 1), "bool");
  });

  it("of integers respects their sign", () => {
    assertValue(ops.less(i32(-1), i32(1)), vector(1), "bool");
    assertValue(ops.less(u32(everyBit), u32(1)), vector(0), "bool");
    assertValue(ops.maximum(u32(everyBit), u32(1)), vector(everyBit), "u32");
    assertValue(ops.equal(bool(1, 0), bool(1, 1)), vector(1, 0), "bool");
  });

  it("is bitwise on integers and logical on bools", () => {
    assertValue(ops.and(u32(0xf0f0f0f0), u32(0xff00ff00)), vector(0xf000f000), "u32");
    assertValue(ops.or(i32(lowest), i32(1)), vector(lowest + 1), "i32");
    assertValue(ops.xor(u32(everyBit), u32(1)), vector(everyBit - 1), "u32");
    assertValue(ops.not(u32(1)), vector(everyBit - 1), "u32");
    assertValue(ops.not(i32(0)), vector(-1), "i32");
    const [x, y] = [bool(0, 0, 1, 1), bool(0, 1, 0, 1)];
    assertValue(ops.and(x, y), vector(0, 0, 0, 1), "bool");
    assertValue(ops.or(x, y), vector(0, 1, 1, 1), "bool");
    assertValue(ops.xor(x, y), vector(0, 1, 1, 0), "bool");
    assertValue(ops.not(x), vector(1, 1, 0, 0), "bool");
  });

  it("shifts by 0 to 31; to the right i32 keeps its sign", () => {
    assertValue(ops.shiftLeft(u32(1, 3), 31), vector(2 ** 31, 2 ** 31), "u32");
    assertValue(ops.shiftLeft(i32(1, 3), 31), vector(lowest, lowest), "i32");
    assertValue(ops.shiftRight(i32(-9, 9), 1), vector(-5, 4), "i32");
    assertValue(ops.shiftRight(u32(everyBit), 31), vector(1), "u32");
    for (const amount of [-1, 32, 0.5, NaN])
      refuses(() => ops.shiftLeft(u32(1), amount), "range", /^shiftLeft: amount/);
  });
});

describe("cast", () => {
  const cases: readonly (readonly [DType, DType, readonly number[], readonly number[]])[] = [
    ["f32", "i32", [1.9, -1.9, -0.5, 3e9, -3e9], [1, -1, 0, highest, lowest]],
    ["f32", "u32", [1.9, -1.9, 3e9, 5e9], [1, 0, 3e9, everyBit]],
    ["f32", "bool", [0, -0, 0.1, NaN], [0, 0, 1, 1]],
    ["i32", "f32", [-1, highest], [-1, highest]],
    ["i32", "u32", [-1, 5], [everyBit, 5]],
    ["i32", "bool", [-1, 0], [1, 0]],
    ["u32", "i32", [everyBit, 5], [-1, 5]],
    ["u32", "f32", [everyBit], [everyBit]],
    ["u32", "bool", [7, 0], [1, 0]],
    ["bool", "f32", [0, 1], [0, 1]],
    ["bool", "i32", [0, 1], [0, 1]],
    ["bool", "u32", [0, 1], [0, 1]],
  ];
  for (const [from, to, given, expected] of cases) {
    it(`${from} to ${to}`, () => assertValue(ops.cast(toTensor(vector(...given), from), to), vector(...expected), to));
  }

  it("to the same dtype is nothing", () => {
    const x = f32(1);
    assert.equal(ops.cast(x, "f32"), x);
  });
});

describe("methods of Tensor", () => {
  it("are the functions", () => {
    const [x, y] = [ops.full([2, 2], 3), f32(1, 2)];
    const pairs: readonly (readonly [Tensor, Tensor])[] = [
      [x.add(y), ops.add(x, y)],
      [x.subtract(1), ops.subtract(x, 1)],
      [x.multiply(y), ops.multiply(x, y)],
      [x.divide(y), ops.divide(x, y)],
      [x.power(2), ops.power(x, 2)],
      [x.negate(), ops.negate(x)],
      [x.exp(), ops.exp(x)],
      [x.log(), ops.log(x)],
      [x.sqrt(), ops.sqrt(x)],
      [x.square(), ops.square(x)],
      [x.tanh(), ops.tanh(x)],
      [x.sigmoid(), ops.sigmoid(x)],
      [x.silu(), ops.silu(x)],
      [x.cast("i32"), ops.cast(x, "i32")],
      [x.matmul(y), ops.matmul(x, y)],
      [x.reshape([4]), ops.reshape(x, [4])],
      [x.permute([1, 0]), ops.permute(x, [1, 0])],
      [x.transpose(0, 1), ops.transpose(x, 0, 1)],
      [x.slice([[1, 2]]), ops.slice(x, [[1, 2]])],
      [x.sum({ axes: 0 }), ops.reduceSum(x, { axes: 0 })],
      [x.mean({ axes: 1 }), ops.mean(x, { axes: 1 })],
      [x.max({ axes: 0, keepAxes: true }), ops.reduceMax(x, { axes: 0, keepAxes: true })],
      [x.softmax(0), ops.softmax(x, 0)],
    ];
    const text = (z: Tensor): string => printGraph({ inputs: [], outputs: [z.node] });
    for (const [method, plain] of pairs) assert.equal(text(method), text(plain));
  });

  it("know shape, dtype, rank and size", () => {
    const x = tensor(new Int32Array(6), { shape: [2, 3] });
    assert.deepEqual([x.shape, x.dtype, x.rank, x.size, String(x)], [[2, 3], "i32", 2, 6, "Tensor(i32 [2, 3])"]);
  });
});
