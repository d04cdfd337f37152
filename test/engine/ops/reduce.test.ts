import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as ops from "../../../engine/index.ts";
import type { Tensor } from "../../../engine/index.ts";
import { dispatchCounts } from "../../../engine/kernel/dispatchCounts.ts";
import { arrays, arraysOf, shapes } from "../../../testing/arbitraries/arrays.ts";
import { assertValue, build, pick, type Plain, reduceOver, refuses, toTensor } from "../../support/plain.ts";
import { input, planOf } from "../passes/plannedFor.ts";

/** Float64 sums of at most 625 terms of one size differ by less than this in another order: 625 * 2^-53. */
const tolerance = 1e-13;

const vector = (...values: number[]): Plain => ({ shape: [values.length], values });
const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0);
const meanOf = (list: readonly number[]): number => sum(list) / list.length;
const varianceOf = (list: readonly number[], correction = 0): number =>
  sum(list.map((value) => (value - meanOf(list)) ** 2)) / (list.length - correction);
const drop = (x: Plain, axes: readonly number[]): Plain => ({
  shape: x.shape.filter((_, axis) => !axes.includes(axis)),
  values: x.values,
});

/** An array and some of its axes, which are not empty if `nonEmpty`. */
const withAxes = (x: fc.Arbitrary<Plain>, nonEmpty = false): fc.Arbitrary<{ x: Plain; axes: number[] }> =>
  x.chain((array) => {
    const axes = [...array.shape.keys()].filter((axis) => !nonEmpty || array.shape[axis] !== 0);
    return fc.record({ x: fc.constant(array), axes: fc.subarray(axes) });
  });
/** An array and one of its axes. */
const withAxis = (x: fc.Arbitrary<Plain>): fc.Arbitrary<{ x: Plain; axis: number }> =>
  x
    .filter(({ shape }) => shape.some((size) => size > 0))
    .chain((array) => {
      const axes = [...array.shape.keys()].filter((axis) => array.shape[axis] !== 0);
      return fc.record({ x: fc.constant(array), axis: fc.constantFrom(...axes) });
    });
const reals = shapes(1).chain((shape) => arraysOf(shape, fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround)));

type Reduction = (x: Tensor, options?: { axes?: number | readonly number[]; keepAxes?: boolean }) => Tensor;

function agrees(
  operation: Reduction,
  { x, axes }: { x: Plain; axes: number[] },
  f: (list: readonly number[]) => number,
): void {
  const kept = reduceOver(x, axes, f);
  const fromBack = axes.map((axis) => axis - x.shape.length).reverse();
  assertValue(operation(toTensor(x), { axes, keepAxes: true }), kept, "f32", tolerance);
  assertValue(operation(toTensor(x), { axes: fromBack }), drop(kept, axes), "f32", tolerance);
  const [only] = axes;
  if (axes.length === 1 && only !== undefined) {
    assertValue(operation(toTensor(x), { axes: only }), drop(kept, axes), "f32", tolerance);
  }
  const everything = [...x.shape.keys()];
  if (axes.length === x.shape.length) assertValue(operation(toTensor(x)), drop(kept, everything), "f32", tolerance);
}

describe("sums and means", () => {
  it("reduceSum adds over the axes, 0 over none", () => {
    fc.assert(fc.property(withAxes(arrays()), (given) => agrees(ops.reduceSum, given, sum)));
  });

  it("mean divides by the count, NaN over nothing", () => {
    fc.assert(fc.property(withAxes(arrays()), (given) => agrees(ops.mean, given, meanOf)));
    assertValue(ops.mean(ops.zeros([0])), { shape: [], values: [NaN] });
  });

  it("variance, deviation, norm and magnitude follow their definitions", () => {
    fc.assert(
      fc.property(withAxes(arrays(), true), (given) => {
        agrees(ops.variance, given, (list) => varianceOf(list));
        agrees(
          (x, options) => ops.variance(x, { ...options, correction: 1 }),
          given,
          (list) => varianceOf(list, 1),
        );
        agrees(ops.standardDeviation, given, (list) => Math.sqrt(varianceOf(list)));
        agrees(ops.norm, given, (list) => Math.hypot(...list));
        agrees(ops.rootMeanSquare, given, (list) => Math.sqrt(meanOf(list.map((value) => value ** 2))));
      }),
    );
  });

  it("integers wrap and bools are counted", () => {
    const [i32, u32] = [toTensor(vector(2 ** 31 - 1, 1), "i32"), toTensor(vector(2 ** 32 - 1, 2), "u32")];
    assertValue(ops.reduceSum(i32), { shape: [], values: [-(2 ** 31)] }, "i32");
    assertValue(ops.reduceSum(u32), { shape: [], values: [1] }, "u32");
    assertValue(ops.reduceSum(toTensor(vector(1, 0, 1), "bool")), { shape: [], values: [2] }, "i32");
  });

  it("sumOfAll adds the elements of all tensors, in a level of kernels more for six times as many", () => {
    fc.assert(
      fc.property(fc.array(arrays(), { maxLength: 8 }), (given) => {
        const value = sum(given.flatMap(({ values }) => values));
        assertValue(ops.sumOfAll(given.map((x) => toTensor(x))), { shape: [], values: [value] }, "f32", tolerance);
      }),
    );
    for (const count of [1, 6, 36, 216]) {
      const inputs = Array.from({ length: count }, (_, i) => input(2 + (i % 5), 3));
      const { levels } = dispatchCounts(planOf([ops.sumOfAll(inputs)]));
      // The sums of rows, the stages in which they come together, and the sum of all.
      assert.ok(levels <= 2 + Math.ceil(Math.log(count) / Math.log(6)), `${levels} levels for ${count} tensors`);
    }
  });

  it("sums over several tensors, also none", () => {
    const x = toTensor(vector(1, 2));
    assertValue(ops.sumOfSquares([x, ops.full([2, 2], 3)]), { shape: [], values: [41] });
    assertValue(ops.sumOfSquares([]), { shape: [], values: [0] });
    const bad = [NaN, Infinity, -Infinity].map((value) => toTensor(vector(0, value)));
    assertValue(ops.allFinite([x, x]), { shape: [], values: [1] }, "bool");
    for (const y of bad) assertValue(ops.allFinite([x, y]), { shape: [], values: [0] }, "bool");
    assertValue(ops.allFinite([]), { shape: [], values: [1] }, "bool");
  });
});

describe("extremes", () => {
  it("reduceMax and reduceMin pick the largest and the smallest, and NaN first", () => {
    const elements = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(Infinity, -Infinity, NaN));
    const x = shapes().chain((shape) => arraysOf(shape, elements));
    fc.assert(
      fc.property(withAxes(x, true), (given) => {
        agrees(ops.reduceMax, given, (list) => Math.max(...list));
        agrees(ops.reduceMin, given, (list) => Math.min(...list));
      }),
    );
  });

  it("are right at both ends of the integers, and give i32 for bools", () => {
    for (const [dtype, low, high] of [
      ["i32", -(2 ** 31), 2 ** 31 - 1],
      ["u32", 0, 2 ** 32 - 1],
    ] as const) {
      const x = toTensor(vector(low, 5, high), dtype);
      assertValue(ops.reduceMax(x), { shape: [], values: [high] }, dtype);
      assertValue(ops.reduceMin(x), { shape: [], values: [low] }, dtype);
      assertValue(ops.argmax(x), { shape: [], values: [2] }, "i32");
    }
    const bools = toTensor(vector(0, 1, 1), "bool");
    assertValue(ops.reduceMax(bools), { shape: [], values: [1] }, "i32");
    assertValue(ops.reduceMin(bools), { shape: [], values: [0] }, "i32");
    assertValue(ops.argmax(bools), { shape: [], values: [1] }, "i32");
  });

  it("argmax is the first of the largest, or the first NaN", () => {
    const elements = fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: -2, max: 2 }) },
      { weight: 1, arbitrary: fc.constant(NaN) },
    );
    const x = shapes(1).chain((shape) => arraysOf(shape, elements));
    fc.assert(
      fc.property(withAxis(x), ({ x: array, axis }) => {
        const kept = reduceOver(array, [axis], (list) => {
          const nan = list.findIndex(Number.isNaN);
          return nan >= 0 ? nan : list.indexOf(Math.max(...list));
        });
        assertValue(ops.argmax(toTensor(array), axis, true), kept, "i32");
        assertValue(ops.argmax(toTensor(array), axis - array.shape.length), drop(kept, [axis]), "i32");
      }),
    );
  });

  it("all and any are logical, true and false over nothing", () => {
    fc.assert(
      fc.property(withAxes(arrays("i32")), ({ x, axes }) => {
        const every = reduceOver(x, axes, (list) => Number(list.every((value) => value !== 0)));
        const some = reduceOver(x, axes, (list) => Number(list.some((value) => value !== 0)));
        assertValue(ops.all(toTensor(x, "i32"), { axes, keepAxes: true }), every, "bool");
        assertValue(ops.any(toTensor(x, "i32"), { axes }), drop(some, axes), "bool");
        assertValue(ops.any(ops.cast(toTensor(x, "i32"), "bool"), { axes }), drop(some, axes), "bool");
      }),
    );
  });
});

describe("softmax and logSumExp", () => {
  it("follow their definitions", () => {
    fc.assert(
      fc.property(withAxis(reals), ({ x, axis }) => {
        const total = reduceOver(x, [axis], (list) => sum(list.map(Math.exp)));
        const totalAt = (place: readonly number[]): number =>
          pick(
            total,
            place.map((i, a) => (a === axis ? 0 : i)),
          );
        const shares = build(x.shape, (place) => Math.exp(pick(x, place)) / totalAt(place));
        assertValue(ops.softmax(toTensor(x), axis), shares, "f32", tolerance);
        // Near 0 a logarithm has an absolute error only: compare beside 100.
        const shifted = (y: Plain): Plain => ({ ...y, values: y.values.map((value) => value + 100) });
        const logarithms = { shape: total.shape, values: total.values.map(Math.log) };
        const given = toTensor(x);
        assertValue(
          ops.add(ops.logSumExp(given, { axes: axis, keepAxes: true }), 100),
          shifted(logarithms),
          "f32",
          tolerance,
        );
        assertValue(
          ops.add(ops.logSumExp(given, { axes: axis }), 100),
          shifted(drop(logarithms, [axis])),
          "f32",
          tolerance,
        );
        const logShares = build(x.shape, (place) => pick(x, place) - Math.log(totalAt(place)));
        assertValue(ops.add(ops.logSoftmax(given, axis), 100), shifted(logShares), "f32", tolerance);
      }),
    );
  });

  it("don't overflow, whatever is added to all", () => {
    for (const offset of [-1e30, -1000, 0, 1000, 1e30]) {
      const x = ops.add(toTensor(vector(0, 0, 0, 0)), offset);
      assertValue(ops.softmax(x), vector(0.25, 0.25, 0.25, 0.25));
      assertValue(ops.logSumExp(x), { shape: [], values: [offset + Math.log(4)] }, "f32", tolerance);
    }
    assertValue(ops.softmax(toTensor(vector(0, 1000))), vector(0, 1));
  });

  it("know infinities: masked elements get nothing", () => {
    assertValue(ops.softmax(toTensor(vector(0, -Infinity, 0))), vector(0.5, 0, 0.5));
    assertValue(ops.logSumExp(toTensor(vector(-Infinity, -Infinity))), { shape: [], values: [-Infinity] });
    assertValue(ops.logSumExp(toTensor(vector(1, Infinity))), { shape: [], values: [Infinity] });
    assertValue(ops.logSumExp(toTensor(vector(1, NaN))), { shape: [], values: [NaN] });
  });
});

describe("reductions refuse", () => {
  it("axes that are out of range or given twice", () => {
    const x = ops.zeros([2, 3]);
    const operations: readonly (readonly [string, Reduction])[] = [
      ["reduceSum", ops.reduceSum],
      ["reduceMax", ops.reduceMax],
      ["reduceMin", ops.reduceMin],
      ["logSumExp", ops.logSumExp],
    ];
    for (const [name, operation] of operations) {
      refuses(() => operation(x, { axes: 2 }), "axis", new RegExp(`^${name}: axis 2 is out of range for rank 2`));
      refuses(() => operation(x, { axes: [0, -2] }), "axis", new RegExp(`^${name}: axis given twice`));
      refuses(() => operation(ops.zeros([]), { axes: 0 }), "axis", new RegExp(`^${name}: axis 0 of a scalar`));
    }
    for (const [name, operation] of Object.entries({
      softmax: ops.softmax,
      logSoftmax: ops.logSoftmax,
      argmax: ops.argmax,
    })) {
      refuses(() => operation(x, 2), "axis", new RegExp(`^${name}: axis 2`));
    }
  });

  it("empty axes where nothing is largest", () => {
    const x = ops.zeros([2, 0]);
    for (const [name, operation] of Object.entries({
      reduceMax: ops.reduceMax,
      reduceMin: ops.reduceMin,
      logSumExp: ops.logSumExp,
      softmax: (y: Tensor) => ops.softmax(y, 1),
      logSoftmax: (y: Tensor) => ops.logSoftmax(y, 1),
      argmax: (y: Tensor) => ops.argmax(y, 1),
    })) {
      refuses(() => operation(x), "shape", new RegExp(`^${name}: axis 1 of \\[2, 0\\] is empty`));
    }
    assert.deepEqual(ops.reduceMax(x, { axes: 0 }).shape, [0]);
    assert.deepEqual(ops.softmax(x, 0).shape, [2, 0]);
  });

  it("dtypes that can't hold the result", () => {
    const x = ops.zeros([2], "i32");
    for (const [name, operation] of Object.entries({
      mean: ops.mean,
      variance: ops.variance,
      standardDeviation: ops.standardDeviation,
      norm: ops.norm,
      rootMeanSquare: ops.rootMeanSquare,
      softmax: (y: Tensor) => ops.softmax(y),
      logSoftmax: (y: Tensor) => ops.logSoftmax(y),
      logSumExp: ops.logSumExp,
    })) {
      refuses(() => operation(x), "dtype", new RegExp(`^${name}: dtype i32 is not supported, expected f32`));
    }
  });
});
