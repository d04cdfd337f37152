import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EvenkeelError } from "../../../engine/errors.ts";
import { Tensor } from "../../../engine/graph/tensor.ts";
import {
  add,
  conv2d,
  divide,
  exp,
  matmul,
  multiply,
  negate,
  permute,
  reduceMax,
  reduceSum,
  relu,
  slice,
  subtract,
  tanh,
} from "../../../engine/index.ts";
import type { Plan } from "../../../engine/kernel/plan.ts";
import { input, kernels, limits, planOf } from "./plannedFor.ts";

/** x after so many operations. */
const chain = (x: Tensor, links: number): Tensor =>
  Array.from({ length: links }, (_, link) => link).reduce((y, link) => (link % 2 === 0 ? tanh(y) : negate(y)), x);

describe("how many kernels a program has", () => {
  it("a chain of n element-wise operations: one, and no memory", () => {
    for (const links of [1, 2, 10, 150]) {
      const { steps, slots } = planOf([chain(input(4, 5), links)]);
      assert.equal(steps.length, 1);
      assert.equal(
        slots.reduce((sum, bytes) => sum + bytes, 0),
        0,
      );
    }
  });

  it("a chain longer than a kernel may be: as many as it takes", () => {
    for (const [links, expected] of [
      [19, 1],
      [20, 2],
      [38, 2],
      [39, 3],
    ] as const) {
      assert.equal(planOf([chain(input(4), links)], [], { ...limits, scalars: 20 }).steps.length, expected);
    }
  });

  it("views between operations: none", () => {
    const x = input(4, 6);
    const y = tanh(permute(slice(exp(x), [[1, 4]])).reshape([3, 6]));
    assert.equal(kernels(y.reshape([18])), 1);
  });

  it("a reduction with what comes before it and after it: one; softmax: maxima, exponentials, their sums, quotients", () => {
    const x = input(8, 16);
    assert.equal(kernels(tanh(add(reduceSum(exp(x), { axes: 1 }), 1))), 1);
    const max = reduceMax(x, { axes: 1, keepAxes: true });
    const exponentials = exp(subtract(x, max));
    assert.equal(kernels(divide(exponentials, reduceSum(exponentials, { axes: 1, keepAxes: true }))), 4);
  });

  it("a product or convolution with its bias and activation: one; what it multiplies is stored first", () => {
    const [x, w, bias] = [input(8, 16), input(16, 4), input(4)];
    assert.equal(kernels(relu(add(matmul(x, w), bias))), 1);
    assert.equal(kernels(relu(add(matmul(exp(x), tanh(w)), bias))), 3);
    const [image, filter] = [input(2, 3, 8, 8), input(4, 3, 3, 3)];
    assert.equal(kernels(relu(conv2d(image, filter))), 1);
    assert.equal(kernels(relu(conv2d(image, filter, { padding: 1 }))), 2);
  });

  it("a costly value for two outputs: stored; a cheap one: computed again", () => {
    const x = input(32);
    const [costly, cheap] = [exp(x), negate(x)];
    assert.equal(kernels(reduceSum(costly), reduceMax(costly)), 3);
    assert.equal(kernels(reduceSum(cheap), reduceMax(cheap)), 2);
  });

  it("reads no more arrays than it may where a part of it is stored for others: in several kernels", () => {
    const [a, b, c, w] = [input(8, 8), input(8, 8), input(8, 8), input(8, 8)];
    const part = add(a, b);
    // The product wants the part in memory when all else has been looked at: one more array beside those it is made of.
    const { steps } = planOf([multiply(multiply(part, a), multiply(b, c)), matmul(part, w)], [], {
      ...limits,
      operands: 3,
    });
    const most = Math.max(...steps.map(({ operands }) => operands.length));
    assert.ok(most <= 3, `a kernel reads ${most} arrays`);
  });

  it("a value used twice in one kernel: none of its own", () => {
    const y = exp(input(32));
    assert.equal(kernels(multiply(y, add(y, 1))), 1);
  });
});

describe("what a plan does with outputs", () => {
  it("writes updates of all leaves in place, counted", () => {
    const state = [input(8), input(4, 4), input(3)];
    const updated = state.map((leaf) => subtract(multiply(leaf, 0.9), 0.1));
    const donations = state.map((_, index) => ({ input: index, output: index }));
    const plan = planOf(updated, donations);
    assert.deepEqual([plan.aliases, plan.steps.length], [[0, 1, 2], 3]);
    assert.deepEqual(planOf(updated, donations, { ...limits, inPlace: false }).aliases, [null, null, null]);
    assert.deepEqual(planOf(updated).aliases, [null, null, null]);
  });

  it("not where the old value is read at other places, or later", () => {
    const w = input(4, 4);
    const donation = [{ input: 0, output: 0 }];
    assert.deepEqual(planOf([add(w, permute(w))], donation).aliases, [null]);
    assert.deepEqual(planOf([negate(w), reduceMax(w)], donation).aliases, [null, null]);
    // What reads the old value goes first if it can: the sum is part of the update's own operands.
    assert.deepEqual(planOf([add(w, reduceSum(w))], donation).aliases, [0]);
  });

  it("a leaf that stays what it was has no step; an input as another output is copied", () => {
    const [x, y] = [input(4), input(4)];
    const kept = planOf([x, negate(y)], [{ input: 0, output: 0 }]);
    assert.deepEqual([kept.steps.length, kept.aliases], [1, [0, null]]);
    const copied = planOf([x, negate(y)]);
    assert.deepEqual([copied.steps.length, copied.aliases], [2, [null, null]]);
  });

  it("equal kernels are one, with one name", () => {
    const [x, y] = [input(4, 4), input(4, 4)];
    const { steps } = planOf([tanh(x), tanh(y), exp(x)]);
    assert.equal(steps.length, 3);
    assert.equal(new Set(steps.map(({ kernel }) => kernel)).size, 2);
    assert.equal(new Set(steps.map(({ kernel }) => kernel.name)).size, 2);
  });

  it("counts operations and bytes", () => {
    const [step] = planOf([add(multiply(input(8), input(8)), 1)]).steps;
    assert.deepEqual([step?.kernel.flops, step?.kernel.bytes], [16, 96]);
    const [product] = planOf([matmul(input(8, 16), input(16, 4))]).steps;
    assert.deepEqual([product?.kernel.flops, product?.kernel.bytes], [2 * 8 * 16 * 4, 4 * (8 * 16 + 16 * 4 + 8 * 4)]);
  });

  it("says which value is larger than a buffer may be", () => {
    const run = (): Plan => planOf([tanh(input(4, 8))], [], { ...limits, elements: 31 });
    assert.throws(run, (error: unknown) => {
      assert.ok(error instanceof EvenkeelError);
      assert.equal(error.code, "memory");
      assert.match(error.message, /f32 \[4, 8\] has 32 elements, the device holds 31/);
      return true;
    });
  });
});
