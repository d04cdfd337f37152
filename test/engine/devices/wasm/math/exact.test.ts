/** Operations whose results are exact: integers, masks, casts, selection, comparisons, native float arithmetic. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { i32x4 } from "../../../../../engine/devices/wasm/assembler/instructions.ts";
import { emitBinary, emitCompare, emitSelect, emitShift } from "../../../../../engine/devices/wasm/math/binary.ts";
import { emitCast, emitLiteral } from "../../../../../engine/devices/wasm/math/cast.ts";
import { emitUnary } from "../../../../../engine/devices/wasm/math/unary.ts";
import type { DType } from "../../../../../engine/graph/dtype.ts";
import { type BinaryOp, type CompareOp, compareOps, type UnaryOp } from "../../../../../engine/graph/node.ts";
import { nearestFloat16 } from "../../../../support/nearestFloat16.ts";
import { specialFloats } from "./accuracy.ts";
import { vectorProgram } from "./vectorProgram.ts";

const integers = [
  0, 1, 2, 3, 5, 31, 32, 255, 65535, 65536, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe,
  0xffff_ffff,
];
const floatBits = [
  ...new Uint32Array(Float32Array.from([...specialFloats, 0.5, 1.5, 2.5, -0.5, 1e-45, 4294967040, 2147483520]).buffer),
];

/** A lane's bits as the number they mean, and back. A bool is a mask. */
const decode: { readonly [D in DType]: (bits: number) => number } = {
  f32: (bits) => new Float32Array(new Uint32Array([bits]).buffer)[0] ?? NaN,
  i32: (bits) => bits | 0,
  u32: (bits) => bits >>> 0,
  bool: (bits) => (bits === 0 ? 0 : 1),
};
const encode: { readonly [D in DType]: (value: number) => number } = {
  f32: (value) => new Uint32Array(new Float32Array([value]).buffer)[0] ?? 0,
  i32: (value) => value >>> 0,
  u32: (value) => value >>> 0,
  bool: (value) => (value === 0 ? 0 : 0xffff_ffff),
};
const edges: { readonly [D in DType]: readonly number[] } = {
  f32: floatBits,
  i32: integers,
  u32: integers,
  bool: [0, 0xffff_ffff],
};

function lanes(dtype: DType): fc.Arbitrary<number> {
  const edge = fc.constantFrom(...edges[dtype]);
  return dtype === "bool" ? edge : fc.oneof(edge, fc.nat({ max: 0xffff_ffff }));
}

/** All edge values, then random ones, against `expected` of the meant numbers. NaNs are equal whatever their bits. */
function assertExact(
  label: string,
  from: DType,
  to: DType,
  run: (...arrays: readonly Uint32Array[]) => Uint32Array,
  inputs: 1 | 2,
  expected: (...values: readonly number[]) => number,
): void {
  const check = (rows: readonly (readonly number[])[]): void => {
    const columns = Array.from({ length: inputs }, (_, k) => Uint32Array.from(rows, (row) => row[k] ?? 0));
    run(...columns).forEach((bits, index) => {
      const values = (rows[index] ?? []).map(decode[from]);
      const wanted = encode[to](expected(...values));
      const isSame =
        bits === wanted || (to === "f32" && Number.isNaN(decode.f32(bits)) && Number.isNaN(decode.f32(wanted)));
      assert.ok(isSame, `${label}(${values.join(", ")}): bits ${bits.toString(16)}, should be ${wanted.toString(16)}`);
    });
  };
  check(inputs === 1 ? edges[from].map((x) => [x]) : edges[from].flatMap((x) => edges[from].map((y) => [x, y])));
  fc.assert(
    fc.property(
      fc.array(fc.array(lanes(from), { minLength: inputs, maxLength: inputs }), { minLength: 64, maxLength: 64 }),
      check,
    ),
    { numRuns: 20 },
  );
}

const f32Nan =
  (f: (x: number, y: number) => number) =>
  (x = 0, y = 0) =>
    Number.isNaN(x) || Number.isNaN(y) ? NaN : f(x, y);
const sum = (x = 0, y = 0): number => x + y;
const difference = (x = 0, y = 0): number => x - y;
const logic = {
  and: (x = 0, y = 0) => x & y,
  or: (x = 0, y = 0) => x | y,
  xor: (x = 0, y = 0) => x ^ y,
};
const extremes = { maximum: (x = 0, y = 0) => Math.max(x, y), minimum: (x = 0, y = 0) => Math.min(x, y) };

describe("binary operations", () => {
  const integer = {
    add: sum,
    subtract: difference,
    multiply: (x = 0, y = 0) => Math.imul(x, y),
    truncateDivide: (x = 0, y = 0) => (y === 0 ? 0 : Math.trunc(x / y)),
    ...logic,
    ...extremes,
  };
  const table: { readonly [D in DType]: Partial<Record<BinaryOp, (x?: number, y?: number) => number>> } = {
    i32: integer,
    u32: integer,
    bool: logic,
    f32: {
      add: sum,
      subtract: difference,
      multiply: (x = 0, y = 0) => x * y,
      divide: (x = 0, y = 0) => x / y,
      fmod: (x = 0, y = 0) => x % y,
      maximum: f32Nan(Math.max),
      minimum: f32Nan(Math.min),
    },
  };
  for (const [dtype, operations] of Object.entries(table) as [DType, (typeof table)[DType]][]) {
    for (const [name, expected] of Object.entries(operations) as [BinaryOp, (x?: number, y?: number) => number][]) {
      test(`${name} of ${dtype}`, () => {
        // Float64 sums, products and quotients of float32 round to the float32 result (Figueroa 1995), as encode does.
        assertExact(
          name,
          dtype,
          dtype,
          vectorProgram(2, (f) => emitBinary(f, name, dtype)),
          2,
          expected,
        );
      });
    }
  }
});

describe("unary operations", () => {
  const sign = (x = 0): number => (Number.isNaN(x) ? NaN : Math.sign(x));
  const table: readonly (readonly [UnaryOp, DType, DType, (x?: number) => number])[] = [
    ["negate", "f32", "f32", (x = 0) => -x],
    ["negate", "i32", "i32", (x = 0) => -x],
    ["negate", "u32", "u32", (x = 0) => -x],
    ["absolute", "f32", "f32", Math.abs as (x?: number) => number],
    ["absolute", "i32", "i32", Math.abs as (x?: number) => number],
    ["absolute", "u32", "u32", (x = 0) => x],
    ["sign", "f32", "f32", sign],
    ["sign", "i32", "i32", sign],
    ["sign", "u32", "u32", sign],
    ["not", "i32", "i32", (x = 0) => ~x],
    ["not", "u32", "u32", (x = 0) => ~x],
    ["not", "bool", "bool", (x = 0) => 1 - x],
    ["floor", "f32", "f32", Math.floor as (x?: number) => number],
    ["roundToFloat16", "f32", "f32", nearestFloat16],
    ["isFinite", "f32", "bool", (x = 0) => Number(Number.isFinite(x))],
    ["isNaN", "f32", "bool", (x = 0) => Number(Number.isNaN(x))],
  ];
  for (const [name, from, to, expected] of table) {
    test(`${name} of ${from}`, () =>
      assertExact(
        name,
        from,
        to,
        vectorProgram(1, (f) => emitUnary(f, name, from)),
        1,
        expected,
      ));
  }

  test("functions of floats refuse integers", () => {
    assert.throws(() => vectorProgram(1, (f) => emitUnary(f, "exp", "i32")), { code: "dtype", message: /exp of i32/ });
    assert.throws(() => vectorProgram(2, (f) => emitBinary(f, "divide", "u32")), {
      code: "dtype",
      message: /divide of u32/,
    });
    assert.throws(() => vectorProgram(2, (f) => emitBinary(f, "truncateDivide", "f32")), {
      code: "dtype",
      message: /truncateDivide of f32/,
    });
  });
});

describe("comparisons", () => {
  const expected: { readonly [K in CompareOp]: (x: number, y: number) => boolean } = {
    less: (x, y) => x < y,
    lessEqual: (x, y) => x <= y,
    equal: (x, y) => x === y,
    notEqual: (x, y) => x !== y,
  };
  for (const dtype of ["f32", "i32", "u32", "bool"] as const) {
    for (const name of compareOps) {
      test(`${name} of ${dtype}`, () => {
        const run = vectorProgram(2, (f) => emitCompare(f, name, dtype));
        assertExact(name, dtype, "bool", run, 2, (x = 0, y = 0) => Number(expected[name](x, y)));
      });
    }
  }
});

describe("casts", () => {
  const saturate =
    (low: number, high: number) =>
    (x = 0) =>
      Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), low), high);
  const same = (x = 0): number => x;
  const isNotZero = (x = 0): number => Number(x !== 0);
  const table: { readonly [From in DType]: { readonly [To in DType]: (x?: number) => number } } = {
    f32: { f32: same, i32: saturate(-(2 ** 31), 2 ** 31 - 1), u32: saturate(0, 2 ** 32 - 1), bool: isNotZero },
    i32: { f32: same, i32: same, u32: same, bool: isNotZero },
    u32: { f32: same, i32: same, u32: same, bool: isNotZero },
    bool: { f32: same, i32: same, u32: same, bool: same },
  };
  for (const [from, row] of Object.entries(table) as [DType, (typeof table)[DType]][]) {
    for (const [to, expected] of Object.entries(row) as [DType, (x?: number) => number][]) {
      test(`${from} to ${to}`, () => {
        assertExact(
          "cast",
          from,
          to,
          vectorProgram(1, (f) => emitCast(f, from, to)),
          1,
          expected,
        );
      });
    }
  }
});

describe("shifts, selection, literals", () => {
  test("shifts by 0, 1, 13 and 31", () => {
    for (const amount of [0, 1, 13, 31]) {
      const left = (x = 0): number => x << amount;
      for (const dtype of ["i32", "u32"] as const) {
        const program = (direction: "left" | "right") =>
          vectorProgram(1, (f) => emitShift(f, direction, amount, dtype));
        assertExact(`left by ${amount}`, dtype, dtype, program("left"), 1, left);
        const right = (x = 0): number => (dtype === "i32" ? x >> amount : x >>> amount);
        assertExact(`right by ${amount}`, dtype, dtype, program("right"), 1, right);
      }
    }
  });

  test("select takes x where the condition is true and y elsewhere", () => {
    const run = vectorProgram(3, emitSelect);
    const condition = new Uint32Array([0, 0xffff_ffff, 0, 0xffff_ffff, 0xffff_ffff]);
    assert.deepEqual(
      run(condition, new Uint32Array([1, 2, 3, 4, 5]), new Uint32Array([6, 7, 8, 9, 10])),
      new Uint32Array([6, 2, 8, 4, 5]),
    );
  });

  test("literals fill all lanes", () => {
    const rows: readonly (readonly [number, DType, number])[] = [
      [0.1, "f32", 0x3dcc_cccd],
      [-0, "f32", 0x8000_0000],
      [-1, "i32", 0xffff_ffff],
      [2 ** 32 - 1, "u32", 0xffff_ffff],
      [1, "bool", 0xffff_ffff],
      [0, "bool", 0],
    ];
    for (const [value, dtype, bits] of rows) {
      const run = vectorProgram(1, (f) => {
        // The input, emptied, keeps the program a map.
        f.op("v128.and", i32x4(0));
        emitLiteral(f, value, dtype);
        f.op("v128.or");
      });
      assert.deepEqual(run(new Uint32Array(4)), new Uint32Array(4).fill(bits));
    }
  });
});
