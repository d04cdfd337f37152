/** Running sums and products and products over axes, against loops, on every kind of device. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DType } from "../../../engine/graph/dtype.ts";
import * as ops from "../../../engine/index.ts";
import type { Tensor } from "../../../engine/index.ts";
import { arraysOf } from "../../../testing/arbitraries/arrays.ts";
import { assertOnDevices } from "../../support/onDevices.ts";
import { randomNumbers } from "../../../testing/laws/derivatives.ts";
import { along, build, places, type Plain, reduceOver, refuses, toTensor, valueOf } from "../../support/plain.ts";

const numRuns = 15;
const elements: { readonly [D in DType]: fc.Arbitrary<number> } = {
  f32: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(-2, -1, 1, 2, 0.5) },
    { weight: 1, arbitrary: fc.constantFrom(0, NaN, Infinity, -Infinity) },
  ),
  i32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  u32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  bool: fc.nat(1),
};
const cases = fc
  .record({
    dtype: fc.constantFrom<DType>("f32", "f32", "i32", "u32", "bool"),
    shape: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }),
    choice: fc.nat(2),
    long: fc.constantFrom(1, 1, 8),
    options: fc.record({ exclusive: fc.boolean(), reverse: fc.boolean() }),
  })
  .chain(({ dtype, shape, choice, long, options }) => {
    const axis = choice % shape.length;
    const longer = shape.map((size, i) => (i === axis ? size * long : size));
    return arraysOf(longer, elements[dtype]).map((x) => ({ x, axis, dtype, options }));
  });

const ofDtype = (dtype: DType): DType => (dtype === "bool" ? "i32" : dtype);
const wrapped = (value: number, dtype: DType): number =>
  dtype === "f32" ? value : dtype === "u32" ? value >>> 0 : value | 0;
const times = (a: number, b: number, dtype: DType): number =>
  dtype === "f32" ? a * b : wrapped(Math.imul(a, b), dtype);

/** Of the elements along an axis before each (and itself), a fold from `start`. */
function running(
  x: Plain,
  axis: number,
  { exclusive, reverse }: { readonly exclusive: boolean; readonly reverse: boolean },
  fold: (elements: readonly number[]) => number,
): Plain {
  return build(x.shape, (place) => {
    const row = along(x, [axis], place);
    const here = place[axis] ?? 0;
    if (reverse) return fold(row.slice(exclusive ? here + 1 : here));
    return fold(row.slice(0, exclusive ? here : here + 1));
  });
}

describe("cumulativeSum", () => {
  it("adds up what is before each element, in either direction, with it or without", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ x, axis, dtype, options }) => {
        const expected = running(x, axis, options, (row) => row.reduce((a, b) => wrapped(a + b, ofDtype(dtype)), 0));
        await assertOnDevices(ops.cumulativeSum(toTensor(x, dtype), axis, options), expected);
      }),
      { numRuns },
    );
  });

  it("keeps errors small however long it is, and NaN and infinities from what comes before them", async () => {
    const random = randomNumbers(5);
    const size = 33 * 32 * 5;
    const x = Float32Array.from({ length: size }, () => random());
    let sum = 0;
    const values = [...x].map((value) => (sum += value));
    // 33 roundings for each factor of 32 in the length, of a sum that has no other magnitude.
    await assertOnDevices(ops.cumulativeSum(ops.tensor(x)), { shape: [size], values }, 3 * 33 * 2 ** -24 * sum);
    const special = x.slice(0, 100).fill(0);
    special[50] = NaN;
    const expected = values.slice(0, 100).map((_, i) => (i < 50 ? 0 : NaN));
    await assertOnDevices(ops.cumulativeSum(ops.tensor(special)), { shape: [100], values: expected });
  });

  it("has the reversed sum as its derivative, at lengths of several blocks", () => {
    const size = 100;
    const weights = Float32Array.from({ length: size }, (_, i) => (i % 7) - 3);
    const gradient = ops.grad((x: Tensor) =>
      ops.reduceSum(ops.multiply(ops.cumulativeSum(x, 0, { exclusive: true }), ops.tensor(weights))),
    )(ops.ones([size]));
    const expected = ops.cumulativeSum(ops.tensor(weights), 0, { exclusive: true, reverse: true });
    assert.deepEqual(valueOf(gradient).values, valueOf(expected).values);
  });
});

describe("cumulativeProduct and product", () => {
  it("multiply what is before each element", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ x, axis, dtype, options }) => {
        const expected = running(x, axis, options, (row) => row.reduce((a, b) => times(a, b, ofDtype(dtype)), 1));
        const tame = expected.values.every((value) => dtype !== "f32" || !(Math.abs(value) > 1e38));
        fc.pre(tame || expected.values.some((value) => !Number.isFinite(value)));
        await assertOnDevices(ops.cumulativeProduct(toTensor(x, dtype), axis, options), expected);
      }),
      { numRuns },
    );
  });

  it("multiply over axes", async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(7), fc.boolean(), async ({ x, dtype }, some, keepAxes) => {
        const axes = x.shape.flatMap((_, axis) => ((some >> axis) % 2 === 1 ? [axis] : []));
        const kept = reduceOver(x, axes, (row) => row.reduce((a, b) => times(a, b, ofDtype(dtype)), 1));
        const shape = keepAxes ? kept.shape : kept.shape.filter((_, axis) => !axes.includes(axis));
        await assertOnDevices(ops.product(toTensor(x, dtype), { axes, keepAxes }), { ...kept, shape });
      }),
      { numRuns },
    );
    await assertOnDevices(ops.product(ops.zeros([2, 0]), { axes: 1 }), { shape: [2], values: [1, 1] });
    refuses(() => ops.product(ops.zeros([2]), { axes: 1 }), "axis", /^product: axis 1/);
  });

  it("have right derivatives where elements are 0", async () => {
    for (const x of [[2, 3, 4], [2, 0, 4], [0, 3, 0], [0]]) {
      const gradient = ops.grad((y: Tensor) => ops.product(y))(ops.tensor(x));
      const values = x.map((_, i) => x.reduce((p, value, j) => (i === j ? p : p * value), 1));
      await assertOnDevices(gradient, { shape: [x.length], values });
      const running = ops.grad((y: Tensor) => ops.reduceSum(ops.cumulativeProduct(y)))(ops.tensor(x));
      const sums = x.map((_, i) =>
        places([x.length]).reduce((sum, [last = 0]) => {
          return last < i ? sum : sum + x.slice(0, last + 1).reduce((p, value, j) => (i === j ? p : p * value), 1);
        }, 0),
      );
      await assertOnDevices(running, { shape: [x.length], values: sums });
    }
  });
});
