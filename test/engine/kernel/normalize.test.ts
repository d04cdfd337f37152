import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Axis, Kernel, Scalar } from "../../../engine/kernel/kernel.ts";
import { normalizeKernel } from "../../../engine/kernel/normalize.ts";
import { exactCase, interpretExact } from "../devices/wasm/exactKernels.ts";

test("a normalised kernel computes the same", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31), (seed) => {
      const { kernel, data } = exactCase(seed);
      const normal = normalizeKernel(kernel);
      assert.deepEqual(interpretExact(normal, data), interpretExact(kernel, data));
      assert.ok(normal.axes.every(({ size }) => size !== 1));
      assert.equal(
        normal.reduction !== null,
        normal.axes.some(({ role }) => role === "reduce"),
      );
      assert.deepEqual(normalizeKernel(normal), normal, "twice is once");
    }),
    { numRuns: 500 },
  );
});

const load = (coefficients: readonly number[], offset = 0): Scalar => ({
  kind: "load",
  dtype: "f32",
  operand: 0,
  at: { offset, coefficients },
});

function kernelOf(axes: readonly Axis[], body: Scalar, result: readonly number[]): Kernel {
  const reduces = axes.some(({ role }) => role === "reduce");
  const length = axes.reduce((product, { role, size }) => (role === "parallel" ? product * size : product), 1);
  return {
    name: "made",
    axes,
    operands: [{ dtype: "f32", length: 1000 }],
    reduction: reduces ? { op: "sum", body } : null,
    stores: [
      {
        value: reduces ? { kind: "accumulator", dtype: "f32" } : body,
        dtype: "f32",
        length,
        at: { offset: 0, coefficients: result },
      },
    ],
    flops: 0,
    bytes: 0,
  };
}

const parallel = (...sizes: readonly number[]): readonly Axis[] => sizes.map((size) => ({ role: "parallel", size }));
const reduce = (...sizes: readonly number[]): readonly Axis[] => sizes.map((size) => ({ role: "reduce", size }));
const sizes = (kernel: Kernel): readonly number[] => normalizeKernel(kernel).axes.map(({ size }) => size);

test("an element-wise kernel becomes one-dimensional", () => {
  assert.deepEqual(sizes(kernelOf(parallel(2, 1, 3, 5), load([15, 15, 5, 1]), [15, 15, 5, 1])), [30]);
});

test("a broadcast axis stays apart, its neighbours merge", () => {
  assert.deepEqual(sizes(kernelOf(parallel(2, 3, 5, 7), load([21, 7, 0, 1]), [105, 35, 7, 1])), [6, 5, 7]);
});

test("parallel and reduce axes don't merge with each other", () => {
  assert.deepEqual(sizes(kernelOf([...parallel(2, 3), ...reduce(5, 7)], load([105, 35, 7, 1]), [3, 1, 0, 0])), [6, 35]);
});

test("axes of a region stay as they are", () => {
  const body: Scalar = {
    kind: "region",
    dtype: "f32",
    axis: 2,
    start: 1,
    stop: 3,
    inside: load([12, 4, 1]),
    outside: { kind: "literal", dtype: "f32", value: 0 },
  };
  const normal = normalizeKernel(kernelOf(parallel(2, 3, 4), body, [12, 4, 1]));
  assert.deepEqual(
    normal.axes.map(({ size }) => size),
    [6, 4],
  );
  const [{ value }] = normal.stores;
  assert.equal(value.kind === "region" && value.axis, 1);
});

test("a region on an axis of size 1 is decided", () => {
  const zero: Scalar = { kind: "literal", dtype: "f32", value: 0 };
  const region = (start: number, stop: number): Scalar => ({
    kind: "region",
    dtype: "f32",
    axis: 0,
    start,
    stop,
    inside: load([1, 1]),
    outside: zero,
  });
  const stored = (value: Scalar): Scalar => normalizeKernel(kernelOf(parallel(1, 4), value, [4, 1])).stores[0].value;
  assert.equal(stored(region(0, 1)).kind, "load");
  assert.equal(stored(region(1, 2)), zero);
});

test("a sum over axes of size 1 is the element plus 0, which makes -0 to 0", () => {
  const kernel = kernelOf([...parallel(3), ...reduce(1)], load([1, 1]), [1, 0]);
  const normal = normalizeKernel(kernel);
  assert.equal(normal.reduction, null);
  assert.deepEqual(interpretExact(normal, [Float32Array.of(-0, 1, 2)]), [0, 1, 2]);
});
