/** What each pass is for, seen in the plan of a small program: a line that fails if the pass does nothing. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { Tensor } from "../../../engine/graph/tensor.ts";
import {
  add,
  cast,
  concat,
  conv2d,
  divide,
  exp,
  gather,
  matmul,
  multiply,
  negate,
  permute,
  reduceMax,
  reduceSum,
  relu,
  softmax,
  sqrt,
  square,
  subtract,
  tanh,
} from "../../../engine/index.ts";
import { dispatchCounts } from "../../../engine/kernel/dispatchCounts.ts";
import { scalarsOf, rootsOf } from "../../../engine/kernel/scalar.ts";
import type { Plan } from "../../../engine/kernel/plan.ts";
import type { Donation } from "../../../engine/passes/aliasOutputs.ts";
import { runtimeChecks } from "../../../engine/passes/runtimeChecks.ts";
import { input, kernels, limits, planOf } from "./plannedFor.ts";

const severalResults: DeviceLimits = { ...limits, results: 64 };

const arenaBytes = (plan: Plan): number => plan.slots.reduce((bytes, slot) => bytes + slot, 0);
/** What each step sums or compares over, as sizes of its reduce axes. */
const folds = (plan: Plan): readonly (readonly number[])[] =>
  plan.steps.map(({ kernel }) => kernel.axes.filter(({ role }) => role === "reduce").map(({ size }) => size));
/** Kinds and operations in all kernels of a plan. */
const operations = ({ steps }: Plan): readonly string[] =>
  steps.flatMap(({ kernel }) =>
    scalarsOf(...rootsOf(kernel)).map((scalar) => ("op" in scalar ? scalar.op : scalar.kind)),
  );
const count = (plan: Plan, operation: string): number => operations(plan).filter((each) => each === operation).length;

/** Adam's update of one array: what it reads, what it makes, which of that replaces what. */
function adam(count: number): { readonly outputs: readonly Tensor[]; readonly donations: readonly Donation[] } {
  const leaves = Array.from({ length: count }, () => [input(8, 16), input(8, 16), input(8, 16)] as const);
  const gradients = leaves.map(() => input(8, 16));
  const outputs = leaves.flatMap(([w, m, v], i) => {
    const gradient = gradients[i] ?? w;
    const [first, second] = [add(multiply(m, 0.9), multiply(gradient, 0.1)), add(multiply(v, 0.99), square(gradient))];
    return [subtract(w, divide(first, add(sqrt(second), 1e-8))), first, second];
  });
  return { outputs, donations: outputs.map((_, index) => ({ input: index, output: index })) };
}

describe("what passes are for", () => {
  it("simplify: what changes nothing isn't computed, and what is the same once", () => {
    const x = input(8, 4);
    assert.equal(count(planOf([add(multiply(x, 1), 2)]), "multiply"), 0);
    assert.equal(kernels(permute(permute(exp(x)))), 1);
    assert.equal(count(planOf([add(exp(x), exp(x))]), "exp"), 1);
  });

  it("lowerConvolutions: a padded convolution is a padded image and one sum of a kernel without any border", () => {
    const plan = planOf([relu(conv2d(input(2, 3, 8, 8), input(4, 3, 3, 3), { padding: 1 }))]);
    assert.deepEqual(folds(plan), [[], [3, 3, 3]]);
    const regions = plan.steps.map(({ kernel }) =>
      scalarsOf(...rootsOf(kernel)).filter(({ kind }) => kind === "region"),
    );
    assert.deepEqual(
      regions.map(({ length }) => length),
      [2, 0],
    );
  });

  it("divideLast: a product that reads a softmax is divided itself, so there is no softmax", () => {
    const x = input(2, 8, 8);
    const plan = planOf([matmul(softmax(x, 2), x)]);
    // Maxima, exponentials, their sums, the product.
    assert.equal(plan.steps.length, 4);
    assert.deepEqual(
      plan.steps.map(({ kernel }) => kernel.name.includes("divide")),
      [false, false, false, true],
    );
  });

  it("splitReductions: a sum of n into sums of 1,024 and one of n / 1,024; a short one stays whole", () => {
    assert.deepEqual(folds(planOf([reduceSum(input(10_240))])), [[1024], [10]]);
    assert.deepEqual(folds(planOf([reduceSum(input(32, 1024))])), [[1024], [32]]);
    assert.deepEqual(folds(planOf([reduceSum(input(1000))])), [[1000]]);
  });

  it("splitConcats: many parts are joined six at a time", () => {
    const parts = Array.from({ length: 18 }, () => input(2, 4));
    assert.deepEqual([kernels(concat(parts.slice(0, 6), 0)), kernels(concat(parts, 0))], [1, 4]);
  });

  it("fuse: n element-wise operations with views between them are one kernel, softmax is four", () => {
    const x = input(8, 16);
    assert.equal(kernels(tanh(permute(negate(exp(x))))), 1);
    const exponentials = exp(subtract(x, reduceMax(x, { axes: 1, keepAxes: true })));
    assert.equal(kernels(divide(exponentials, reduceSum(exponentials, { axes: 1, keepAxes: true }))), 4);
  });

  it("inlineSingleReaders: values that one kernel uses several times are part of it, however many", () => {
    const chain = Array.from({ length: 12 }).reduce<Tensor>((y) => multiply(tanh(y), add(y, 1)), input(8));
    assert.equal(kernels(chain), 1);
    assert.equal(kernels(chain, tanh(chain)), 2);
  });

  it("updateEarly: each update stands behind its gradient, not at the end", () => {
    const [x, ...weights] = [input(4, 8), input(8, 8), input(8, 8), input(8, 8)];
    const gradients = weights.map((w) => matmul(permute(x), matmul(x, w)));
    const outputs = weights.map((w, i) => subtract(w, gradients[i] ?? w));
    // What is needed of all gradients comes last.
    const norm = gradients.reduce((total, g) => add(total, reduceSum(square(g))), reduceSum(x));
    const donations = outputs.map((_, index) => ({ input: index + 1, output: index + 1 }));
    const { steps, buffers } = planOf([norm, ...outputs], donations);
    const made = (index: number): number =>
      steps.findIndex(({ results: [result] }) => {
        const role = buffers[result]?.role;
        return role?.kind === "output" && role.index === index;
      });
    const [last, ...updates] = [0, 1, 2, 3].map(made);
    assert.ok(
      updates.every((update) => update < (last ?? -1)),
      `${updates.join()} before ${last}`,
    );
  });

  it("recompute: where memory is scarce, cheap values that are read late are made again", () => {
    const [w, x] = [input(64, 64), input(64, 64)];
    const cheap = tanh(w);
    const middle = Array.from({ length: 3 }).reduce<Tensor>((y) => matmul(exp(y), y), matmul(x, cheap));
    const outputs = [matmul(middle, cheap)];
    const [plenty, scarce] = [planOf(outputs), planOf(outputs, [], { ...limits, memory: 1 })];
    assert.deepEqual([count(plenty, "tanh"), scarce.steps.length], [1, plenty.steps.length + 1]);
    assert.ok(arenaBytes(scarce) < arenaBytes(plenty), `${arenaBytes(scarce)}, else ${arenaBytes(plenty)}`);
  });

  it("orderByLevel: where kernels may overlap, n chains of m products wait m - 1 times, not before each product", () => {
    const chains = Array.from({ length: 5 }, () =>
      Array.from({ length: 4 }).reduce<Tensor>((y) => matmul(y, y), input(16, 16)),
    );
    const waits = (overlap: boolean): number =>
      dispatchCounts(planOf(chains, [], { ...limits, temporaries: "slots", overlap })).fewestBarriers;
    assert.deepEqual([waits(true), waits(false)], [3, 19]);
  });

  it("planMemory: a chain of products of any length has two temporaries at a time", () => {
    const bytes = [3, 12].map((length) =>
      arenaBytes(planOf([Array.from({ length }).reduce<Tensor>((y) => matmul(y, y), input(16, 16))])),
    );
    assert.equal(bytes[0], bytes[1]);
  });

  it("aliasOutputs: new moments and weights take the memory of the old ones", () => {
    const { outputs, donations } = adam(2);
    assert.deepEqual(planOf(outputs, donations, severalResults).aliases, [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(
      planOf(outputs, donations, { ...severalResults, inPlace: false }).aliases,
      outputs.map(() => null),
    );
  });

  it("joinSteps: Adam's update of m arrays is one sweep where kernels may have several results, else three for each", () => {
    for (const [arrays, sweeps] of [
      [1, 1],
      [2, 1],
    ] as const) {
      const { outputs, donations } = adam(arrays);
      assert.equal(planOf(outputs, donations).steps.length, 3 * arrays);
      assert.equal(planOf(outputs, donations, severalResults).steps.length, sweeps);
    }
  });

  it("joinSteps: what joined steps make for each other takes no memory", () => {
    const y = tanh(input(8, 16));
    const outputs = [add(y, input(8, 16)), multiply(y, input(8, 16))];
    assert.ok(arenaBytes(planOf(outputs)) >= 4 * 8 * 16);
    const joined = planOf(outputs, [], severalResults);
    assert.deepEqual([joined.steps.length, arenaBytes(joined)], [1, 0]);
  });

  it("runtimeChecks: one for each number that becomes an integer and each index that is looked up, none for anything else", () => {
    const x = input(8, 4);
    const taken = gather(x, cast(input(5), "i32"));
    assert.equal(runtimeChecks({ inputs: [], outputs: [taken.node, exp(taken).node] }).length, 2);
    assert.equal(runtimeChecks({ inputs: [], outputs: [exp(x).node] }).length, 0);
  });
});
