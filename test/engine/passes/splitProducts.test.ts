/** Long sums of products in slices: what they are together, how many there are, and which kernels are left whole. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at } from "../../../engine/graph/shape.ts";
import { conv2d, matmul, multiply, permute } from "../../../engine/index.ts";
import type { Kernel, Scalar } from "../../../engine/kernel/kernel.ts";
import type { PlanStep } from "../../../engine/kernel/plan.ts";
import { splitProducts } from "../../../engine/passes/splitProducts.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { planOf as planOfKernel } from "../../../testing/laws/kernelLaws.ts";
import { interpretPlan } from "../../../testing/bounds/interpretKernel.ts";
import { input, limits, planOf } from "./plannedFor.ts";

const wide = { concurrency: 256, elements: Infinity };

/** The gradient of `o` filters of `c` channels with 3x3 taps over `n` images; what is stored reads a third array. */
function filterGradient(n: number, c: number, o: number, height: number, width: number): Kernel {
  const [row, plane] = [width + 2, (width + 2) * (height + 2)];
  const load = (operand: number, coefficients: readonly number[]): Scalar => ({
    kind: "load",
    dtype: "f32",
    operand,
    at: { offset: 0, coefficients },
  });
  const binary = (op: "add" | "multiply", x: Scalar, y: Scalar): Scalar => ({ kind: "binary", dtype: "f32", op, x, y });
  const own = [9 * c, 9, 3, 1, 0, 0, 0];
  const cotangent = load(1, [height * width, 0, 0, 0, o * height * width, width, 1]);
  const image = load(0, [0, plane, row, 1, c * plane, row, 1]);
  return {
    name: "gradient",
    axes: [
      ...[o, c, 3, 3].map((size) => ({ role: "parallel", size }) as const),
      ...[n, height, width].map((size) => ({ role: "reduce", size }) as const),
    ],
    operands: [n * c * plane, n * o * height * width, 9 * o * c].map((length) => ({ dtype: "f32", length })),
    reduction: { op: "sum", body: binary("multiply", cotangent, image) },
    stores: [
      {
        value: binary("add", { kind: "accumulator", dtype: "f32" }, load(2, own)),
        dtype: "f32",
        length: 9 * o * c,
        at: { offset: 0, coefficients: own },
      },
    ],
    flops: 0,
    bytes: 0,
  };
}

const stepOf = (kernel: Kernel): PlanStep => at(planOfKernel(kernel).steps, 0);
const split = (kernel: Kernel): PlanStep[] => splitProducts([stepOf(kernel)], wide, () => 99);

/** Slices of a filter gradient, from 1 on. */
function slicesOf(...sizes: Parameters<typeof filterGradient>): number {
  const kernel = filterGradient(...sizes);
  const [slices] = split(kernel);
  return at(slices?.kernel.stores ?? [], 0).length / kernel.stores[0].length;
}

describe("splitProducts", () => {
  it("gives what the whole kernel gives", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<readonly [number, number, number]>([2, 16, 32], [3, 20, 20], [17, 16, 16], [1, 40, 32]),
        fc.integer({ min: 8, max: 10 }),
        ([n, height, width], o) => {
          const kernel = filterGradient(n, 1, o, height, width);
          const data = kernel.operands.map(({ length }, operand) =>
            Float32Array.from({ length }, (_, i) => ((i * 7 + operand * 3 + ((i * i) % 13)) % 7) - 3),
          );
          const plan = planOfKernel(kernel);
          const [whole] = interpretPlan(plan, data, accuracies.oracle).slice(-1);
          const buffers = [...plan.buffers];
          const steps = splitProducts(plan.steps, wide, (length) => {
            return buffers.push({ dtype: "f32", length, role: { kind: "temporary", slot: 0, offset: 0 } }) - 1;
          });
          assert.equal(steps.length, 2);
          const parts = interpretPlan({ ...plan, buffers, steps }, data, accuracies.oracle);
          assert.deepEqual(at(parts, plan.buffers.length - 1).values, whole?.values);
        },
      ),
      { numRuns: 8 },
    );
  });

  it("makes as few slices as keep 256 workgroups busy, of 256 to 4096 terms each", () => {
    assert.equal(slicesOf(32, 32, 32, 16, 16), 32);
    assert.equal(slicesOf(32, 64, 64, 8, 8), 8);
    assert.equal(slicesOf(16, 64, 64, 32, 32), 32);
    assert.equal(slicesOf(64, 256, 256, 16, 16), 4);
    assert.equal(slicesOf(1024, 8, 8, 16, 16), 64);
  });

  it("splits a kernel once for all steps that have it, and reads in each half what that needs", () => {
    const kernel = filterGradient(32, 8, 8, 8, 8);
    const step: PlanStep = { kernel, operands: [5, 6, 7], results: [8] };
    const [slices, total, again] = splitProducts([step, { ...step, results: [9] }], wide, () => 20);
    assert.deepEqual([slices?.operands, slices?.results], [[5, 6], [20]]);
    assert.deepEqual([total?.operands, total?.results], [[20, 7], [8]]);
    assert.equal(again?.kernel, slices?.kernel);
  });

  it("leaves whole what is short, a forward convolution, or for a device that wants no slices", () => {
    const gradient = filterGradient(32, 8, 8, 8, 8);
    assert.deepEqual(
      splitProducts([stepOf(gradient)], { ...wide, concurrency: 1 }, () => 99),
      [stepOf(gradient)],
    );
    assert.deepEqual(
      splitProducts([stepOf(gradient)], { ...wide, elements: 600 }, () => 99),
      [stepOf(gradient)],
    );
    const short = filterGradient(8, 8, 8, 8, 8);
    assert.deepEqual(split(short), [stepOf(short)]);
    const x = input(2, 128, 8, 8);
    const [step] = planOf([conv2d(x, input(8, 128, 3, 3), { padding: 0 })]).steps;
    assert.ok(step !== undefined);
    assert.deepEqual(split(step.kernel).length, 1);
  });

  it("is part of plans: the sums of slices are a temporary", () => {
    const [a, b] = [input(4096, 16), input(4096, 24)];
    const product = multiply(matmul(permute(a, [1, 0]), b), 0.5);
    const plan = planOf([product], [], { ...limits, temporaries: "slots", concurrency: 256 });
    assert.deepEqual(
      plan.steps.map(({ kernel }) => kernel.name.replace(/\d+_/, "")),
      ["multiply_sum_multiply_slices", "multiply_sum_multiply_total"],
    );
    const [slices, total] = plan.steps;
    assert.deepEqual(total?.operands, slices?.results);
    assert.equal(planOf([product]).steps.length, 1);
  });
});
