import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import type { Scalar } from "../../../../engine/kernel/kernel.ts";
import { elementwise, load } from "./samplePlans.ts";
import { evaluate, kernelOver, modes } from "./sampleKernels.ts";

describe("integers", () => {
  const corners = [0, 1, 2, 255, 256, 65535, 65536, 65537, 0x7fffffff, 0x80000000, 0xffff0000, 0xffffffff];
  const integer = fc.oneof(
    fc.constantFrom(...corners),
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.integer({ min: 0, max: 9 }),
  );
  const pairs = fc.array(fc.tuple(integer, integer), { minLength: 1, maxLength: 8 });
  const wrapped = (dtype: "i32" | "u32", values: readonly number[]): TensorData =>
    dtype === "i32" ? Int32Array.from(values) : Uint32Array.from(values);

  const binary = {
    add: (x: number, y: number) => x + y,
    subtract: (x: number, y: number) => x - y,
    multiply: Math.imul,
    truncateDivide: (x: number, y: number) => (y === 0 ? 0 : Math.trunc(x / y)),
    maximum: Math.max,
    minimum: Math.min,
    and: (x: number, y: number) => x & y,
    or: (x: number, y: number) => x | y,
    xor: (x: number, y: number) => x ^ y,
  } as const;
  const unary = { negate: (x: number) => -x, absolute: Math.abs, sign: Math.sign, not: (x: number) => ~x } as const;
  const compare = {
    less: (x: number, y: number) => x < y,
    lessEqual: (x: number, y: number) => x <= y,
    equal: (x: number, y: number) => x === y,
    notEqual: (x: number, y: number) => x !== y,
  } as const;

  for (const dtype of ["i32", "u32"] as const) {
    const check = (body: Scalar, expected: (x: number, y: number) => number | boolean): void => {
      fc.assert(
        fc.property(pairs, fc.constantFrom(...modes), (list, mode) => {
          const [x, y] = [
            wrapped(
              dtype,
              list.map(([a]) => a),
            ),
            wrapped(
              dtype,
              list.map(([, b]) => b),
            ),
          ];
          const got = evaluate(elementwise("sample", list.length, 2, { ...body }), [x, y], mode);
          const wanted = list.map((_, i) => Number(expected(x[i] ?? 0, y[i] ?? 0)));
          const result = body.dtype === "i32" || body.dtype === "u32" ? wrapped(body.dtype, wanted) : wanted;
          assert.deepEqual([...got], [...result]);
        }),
        { numRuns: 60 },
      );
    };
    const [x, y] = [load(0, dtype), load(1, dtype)];

    for (const [op, expected] of Object.entries(binary)) {
      test(`${op} of ${dtype}`, () => check({ kind: "binary", dtype, op: op as keyof typeof binary, x, y }, expected));
    }
    for (const [op, expected] of Object.entries(unary)) {
      test(`${op} of ${dtype}`, () =>
        check({ kind: "unary", dtype, op: op as keyof typeof unary, x }, (a) => expected(a)));
    }
    for (const amount of [0, 1, 7, 15, 16, 17, 23, 31]) {
      test(`shifts of ${dtype} by ${amount}`, () => {
        check({ kind: "shift", dtype, direction: "left", amount, x }, (a) => a << amount);
        check({ kind: "shift", dtype, direction: "right", amount, x }, (a) =>
          dtype === "i32" ? a >> amount : a >>> amount,
        );
      });
    }
    test(`select between ${dtype}`, () => {
      const condition: Scalar = { kind: "compare", dtype: "bool", op: "less", x, y };
      check({ kind: "select", dtype, condition, x, y }, Math.min);
    });
  }

  test("comparisons", () => {
    for (const dtype of ["i32", "u32"] as const) {
      for (const [op, expected] of Object.entries(compare)) {
        fc.assert(
          fc.property(pairs, fc.constantFrom(...modes), (list, mode) => {
            const data = [
              wrapped(
                dtype,
                list.map(([a]) => a),
              ),
              wrapped(
                dtype,
                list.map(([, b]) => b),
              ),
            ] as const;
            const body: Scalar = {
              kind: "compare",
              dtype: "bool",
              op: op as keyof typeof compare,
              x: load(0, dtype),
              y: load(1, dtype),
            };
            const length = list.length;
            const kernel = kernelOver(
              [length],
              [
                { dtype, length },
                { dtype, length },
              ],
              body,
            );
            const wanted = Uint8Array.from(list, (_, i) => Number(expected(data[0][i] ?? 0, data[1][i] ?? 0)));
            assert.deepEqual(evaluate(kernel, data, mode), wanted);
          }),
          { numRuns: 40 },
        );
      }
    }
  });

  test("casts truncate, saturate, and take NaN for 0", () => {
    const floats = fc.oneof(
      fc.float(),
      fc.double({ min: -5e9, max: 5e9, noNaN: true }).map(Math.fround),
      fc.constantFrom(2147483648, -2147483648, 4294967296, 4294967040, 0.99, -0.99, -0).map(Math.fround),
    );
    const limits = { i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1] } as const;
    fc.assert(
      fc.property(fc.array(floats, { minLength: 1, maxLength: 6 }), fc.constantFrom(...modes), (list, mode) => {
        for (const dtype of ["i32", "u32"] as const) {
          const [low, high] = limits[dtype];
          const length = list.length;
          const kernel = kernelOver([length], [{ dtype: "f32", length }], { kind: "cast", dtype, x: load(0) });
          const wanted = list.map((x) => (Number.isNaN(x) ? 0 : Math.min(high, Math.max(low, Math.trunc(x)))));
          assert.deepEqual(evaluate(kernel, [Float32Array.from(list)], mode), wrapped(dtype, wanted));
        }
      }),
      { numRuns: 200 },
    );
  });

  test("casts to f32 round once", () => {
    fc.assert(
      fc.property(fc.array(integer, { minLength: 1, maxLength: 6 }), fc.constantFrom(...modes), (list, mode) => {
        for (const dtype of ["i32", "u32"] as const) {
          const data = wrapped(dtype, list);
          const length = list.length;
          const kernel = kernelOver([length], [{ dtype, length }], { kind: "cast", dtype: "f32", x: load(0, dtype) });
          assert.deepEqual(evaluate(kernel, [data], mode), Float32Array.from(data));
        }
      }),
    );
  });

  test("Threefry gives the published vectors", () => {
    // Key, counter and result of Threefry-2x32-20 from the Random123 distribution.
    const vectors = [
      [0, 0, 0, 0, 0x6b200159, 0x99ba4efe],
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
      [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
    ] as const;
    const column = (i: number): Uint32Array => Uint32Array.from(vectors, (vector) => vector[i] ?? 0);
    const [key0, key1, counter0, counter1] = [load(0, "u32"), load(1, "u32"), load(2, "u32"), load(3, "u32")];
    for (const mode of modes) {
      for (const word of [0, 1] as const) {
        const body: Scalar = { kind: "threefry", dtype: "u32", word, key0, key1, counter0, counter1 };
        const got = evaluate(elementwise("sample", 3, 4, body), [0, 1, 2, 3].map(column), mode);
        assert.deepEqual(got, column(4 + word), mode);
      }
    }
  });
});
