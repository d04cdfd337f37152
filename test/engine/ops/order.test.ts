/** Sorting against JavaScript's own stable sort, on every kind of device. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DType } from "../../../engine/graph/dtype.ts";
import * as ops from "../../../engine/index.ts";
import { assertOnDevices } from "../../support/onDevices.ts";
import { randomNumbers } from "../../../testing/laws/derivatives.ts";
import { along, build, type Plain, refuses, toTensor } from "../../support/plain.ts";

const elements: { readonly [name: string]: fc.Arbitrary<number> } = {
  f32: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: -3, max: 3 }) },
    { weight: 2, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, -0, 0) },
    { weight: 1, arbitrary: fc.float() },
  ),
  i32: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(2 ** 31 - 1, -(2 ** 31))),
  u32: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(2 ** 32 - 1)),
  bool: fc.nat(1),
};

/** NaN is the largest. */
const compare = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : a < b ? -1 : a > b ? 1 : 0;

function orderOf(values: readonly number[], descending: boolean): number[] {
  return values
    .map((_, i) => i)
    .sort((i, j) => {
      const [a, b] = [values[i] ?? NaN, values[j] ?? NaN];
      return descending ? compare(b, a) : compare(a, b);
    });
}

/** The indices of the first `count` along an axis, and their elements. */
function expectedOf(x: Plain, axis: number, descending: boolean, count: number): readonly [Plain, Plain] {
  const shape = x.shape.with(axis, count);
  const of = (place: readonly number[]): readonly [number, number] => {
    const row = along(x, [axis], place.with(axis, 0));
    const index = orderOf(row, descending)[place[axis] ?? 0] ?? NaN;
    return [index, row[index] ?? NaN];
  };
  return [build(shape, (place) => of(place)[0]), build(shape, (place) => of(place)[1])];
}

const cases = fc
  .record({
    dtype: fc.constantFrom<DType>("f32", "f32", "i32", "u32", "bool"),
    shape: fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 3 }),
    choice: fc.nat(2),
    descending: fc.boolean(),
  })
  .chain(({ dtype, shape, choice, descending }) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const values = fc.array(elements[dtype] ?? fc.nat(1), { minLength: length, maxLength: length });
    return values.map((list) => ({ dtype, descending, axis: choice % shape.length, x: { shape, values: list } }));
  });

describe("sort, argsort, topK, argmin and argmax", () => {
  it("are stable, with NaN as the largest", async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(7), async ({ x, axis, dtype, descending }, some) => {
        const size = x.shape[axis] ?? 0;
        const [order, values] = expectedOf(x, axis, descending, size);
        const given = toTensor(x, dtype);
        await assertOnDevices(ops.sort(given, { axis, descending }), values);
        await assertOnDevices(ops.argsort(given, { axis: axis - x.shape.length, descending }), order);
        const k = some % (size + 1);
        const top = ops.topK(given, k, { axis, largest: descending });
        const [first, firstValues] = expectedOf(x, axis, descending, k);
        await assertOnDevices(top.indices, first);
        await assertOnDevices(top.values, firstValues);
      }),
      { numRuns: 10 },
    );
  });

  it("argmin finds the first smallest, or the first NaN", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ x, axis, dtype }) => {
        const expected = build(x.shape.with(axis, 1), (place) => {
          const row = along(x, [axis], place);
          const nan = row.findIndex(Number.isNaN);
          return nan < 0 ? row.findIndex((value) => value === Math.min(...row)) : nan;
        });
        await assertOnDevices(ops.argmin(toTensor(x, dtype), axis, true), expected);
      }),
      { numRuns: 10 },
    );
  });

  it("sort long axes, whole numbers of blocks or not", async () => {
    for (const [dtype, rows, size, descending] of [
      ["f32", 2, 129, false],
      ["f32", 1, 520, true],
      ["i32", 2, 257, true],
      ["u32", 1, 256, false],
    ] as const) {
      const random = randomNumbers(size);
      const special = [NaN, Infinity, -Infinity, -0, 0];
      const x = build([rows, size], () => {
        if (dtype === "f32" && random() < 0.1) return special[Math.floor(5 * random())] ?? 0;
        const value = Math.floor(200 * random()) - (dtype === "u32" ? 0 : 100);
        return random() < 0.05 && dtype !== "f32" ? (dtype === "u32" ? 2 ** 32 - 1 : 2 ** 31 - 1) : value;
      });
      const [order, values] = expectedOfRows(x, descending, size);
      const given = toTensor(x, dtype);
      const sorted = ops.stack([ops.sort(given, { descending }), ops.cast(ops.argsort(given, { descending }), dtype)]);
      await assertOnDevices(sorted, { shape: [2, rows, size], values: [...values.values, ...order.values] });
      const [first] = expectedOfRows(x, descending, 5);
      await assertOnDevices(ops.topK(given, 5, { largest: descending }).indices, first);
    }
  });

  it("takes nothing from nothing, and refuses axes and k that aren't there", async () => {
    await assertOnDevices(ops.sort(ops.zeros([3, 0])), { shape: [3, 0], values: [] });
    await assertOnDevices(ops.topK(ops.zeros([2, 3]), 0).indices, { shape: [2, 0], values: [] });
    refuses(() => ops.sort(ops.scalar(1)), "axis", /^sort: axis -1 of a scalar/);
    refuses(() => ops.topK(ops.zeros([3]), 4), "range", /^topK: k 4 is not a whole number from 0 to 3/);
    refuses(() => ops.argmin(ops.zeros([2, 0])), "shape", /^argmin: axis 1 of \[2, 0\] is empty/);
    const [first] = expectedOfRows({ shape: [1, 200], values: Array.from({ length: 200 }, (_, i) => i % 7) }, true, 70);
    const long = ops.cast(ops.reshape(ops.arange(200), [1, 200]), "f32");
    const remainders = ops.subtract(long, ops.multiply(ops.floor(ops.divide(ops.add(long, 0.5), 7)), 7));
    await assertOnDevices(ops.topK(remainders, 70).indices, first);
    assert.equal(ops.topK(ops.zeros([3, 2]), 2, { axis: 0 }).values.shape.join(), "2,2");
  });
});

/** The same for rows, each sorted once. */
function expectedOfRows(x: Plain, descending: boolean, count: number): readonly [Plain, Plain] {
  const [rows = 0, size = 0] = x.shape;
  const orders = Array.from({ length: rows }, (_, row) =>
    orderOf(x.values.slice(row * size, (row + 1) * size), descending).slice(0, count),
  );
  const values = orders.flatMap((order, row) => order.map((i) => x.values[row * size + i] ?? NaN));
  return [
    { shape: [rows, count], values: orders.flat() },
    { shape: [rows, count], values },
  ];
}
