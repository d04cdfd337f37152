/** Values that are made again where they are read: the same results, and less memory touched. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import type { Tensor } from "../../../engine/graph/tensor.ts";
import {
  add,
  broadcastTo,
  clamp,
  concat,
  conv2d,
  divide,
  exp,
  grad,
  matmul,
  multiply,
  reduceSum,
  reshape,
  sigmoid,
  silu,
  slice,
  sqrt,
  square,
  subtract,
} from "../../../engine/index.ts";
import { contractionOf, convolutionOf } from "../../../engine/kernel/contraction.ts";
import { dispatchCounts } from "../../../engine/kernel/dispatchCounts.ts";
import { type Plan } from "../../../engine/kernel/plan.ts";
import { rootsOf, scalarsOf } from "../../../engine/kernel/scalar.ts";
import { planFor } from "../../../engine/program/planFor.ts";
import { buildProgram, inputData, loopFreePrograms } from "../../../testing/arbitraries/programs.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { interpretPlan } from "../../../testing/bounds/interpretKernel.ts";
import { tensor } from "../../../engine/index.ts";
import { input, limits, planOf } from "./plannedFor.ts";

const plenty: DeviceLimits = { ...limits, arithmetic: "plenty" };

function outputsOf(plan: Plan, inputs: readonly ArrayLike<number>[]): readonly Float64Array[] {
  const values = interpretPlan(plan, inputs, accuracies.oracle);
  return plan.buffers.flatMap(({ role }, buffer) => (role.kind === "output" ? [at(values, buffer).values] : []));
}

const numbersFor = (plan: Plan): readonly Float32Array[] =>
  plan.buffers.flatMap(({ role, length }) =>
    role.kind === "input"
      ? [Float32Array.from({ length }, (_, i) => Math.sin(i * 0.7 + role.index) + 0.1 * Math.cos(i * i))]
      : [],
  );

const count = (plan: Plan, operation: string): number =>
  plan.steps.filter(({ kernel }) =>
    scalarsOf(...rootsOf(kernel)).some((scalar) => "op" in scalar && scalar.op === operation),
  ).length;
const bytes = (plan: Plan): number => dispatchCounts(plan).bytes;

const normalized = (x: Tensor): Tensor => divide(x, add(sqrt(reduceSum(square(x), { axes: 1, keepAxes: true })), 1e-3));

/** Layers as those of a network, each behind the one before, and the gradient of all. */
function network(layers: readonly number[]): readonly Tensor[] {
  const [rows, width] = [6, 8];
  const weights = layers.map(() => input(width, width));
  const loss = ([image, ...given]: readonly Tensor[]): Tensor => {
    let x = image ?? input(rows, width);
    layers.forEach((layer, i) => {
      const product = (y: Tensor): Tensor => matmul(y, given[i] ?? y);
      const kinds: readonly (() => Tensor)[] = [
        () => product(silu(x)),
        () => add(multiply(x, 0.7), product(silu(normalized(x)))),
        () => product(normalized(multiply(sigmoid(x), x))),
        () => {
          const joined = concat([x, multiply(x, 2)], 1);
          return product(slice(silu(joined), [null, [4, 4 + width]]));
        },
        () => product(reshape(exp(multiply(x, -0.2)), [rows, width])),
      ];
      x = at(kinds, layer % kinds.length)();
    });
    return reduceSum(square(x));
  };
  const all = [input(rows, width), ...weights];
  return [loss(all), ...grad(loss)(all)];
}

describe("computeInReaders", () => {
  it("changes no result of networks and of their gradients, and touches no more memory", () => {
    let less = 0;
    fc.assert(
      fc.property(fc.array(fc.nat(4), { minLength: 1, maxLength: 5 }), (layers) => {
        const outputs = network(layers);
        const [kept, made] = [planOf(outputs), planOf(outputs, [], plenty)];
        const numbers = numbersFor(kept);
        assert.deepEqual(outputsOf(made, numbers), outputsOf(kept, numbers));
        assert.ok(bytes(made) <= bytes(kept), `${bytes(made)} bytes, were ${bytes(kept)}`);
        if (bytes(made) < bytes(kept)) less++;
      }),
      { numRuns: 60, seed: 3 },
    );
    assert.ok(less > 30, `only ${less} touch less`);
  });

  it("changes no result of 300 random programs", async () => {
    let changed = 0;
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, async (spec) => {
        const data = spec.inputs.map(inputData);
        const given = spec.inputs.map(({ shape, dtype }, i) => tensor(at(data, i), { shape, dtype }));
        const planned = (of: DeviceLimits): Promise<Plan> =>
          planFor((...args: readonly Tensor[]) => buildProgram(spec, args), given, of).then(({ plan }) => plan);
        const [kept, made] = [await planned(limits), await planned(plenty)];
        assert.deepEqual(outputsOf(made, data), outputsOf(kept, data));
        if (bytes(made) !== bytes(kept)) changed++;
      }),
      { numRuns: 300, seed: 17 },
    );
    assert.ok(changed > 5, `only ${changed} plans were changed`);
  });

  it("keeps no sigmoid for the gradient, and no normalized value but for a product", () => {
    const [x, w] = [input(16, 32), input(32, 32)];
    const outputs = grad(([a, b]: readonly [Tensor, Tensor]) => reduceSum(square(matmul(silu(a), b))))([x, w]);
    const [kept, made] = [planOf(outputs), planOf(outputs, [], plenty)];
    assert.deepEqual([count(kept, "sigmoid"), count(made, "sigmoid")], [1, 2]);
    assert.equal(made.steps.length, kept.steps.length - 1);
  });

  it("keeps small values where arithmetic is scarce, and not those that no cache holds", () => {
    const sigmoids = (rows: number, of: DeviceLimits): number => {
      const [x, w] = [input(rows, 512), input(512, 4)];
      const outputs = grad(([a, b]: readonly [Tensor, Tensor]) => reduceSum(square(matmul(silu(a), b))))([x, w]);
      return count(planOf(outputs, [], of), "sigmoid");
    };
    assert.deepEqual([sigmoids(511, limits), sigmoids(512, limits)], [1, 2]);
    assert.deepEqual([sigmoids(511, plenty), sigmoids(512, plenty)], [2, 2]);
  });

  it("leaves convolutions the axes by which they are known, where arithmetic is scarce", () => {
    const [x, w] = [input(2, 16, 64, 64), input(16, 16, 3, 3)];
    // Twice as large, in blocks of the same pixel: what a convolution is added to.
    const clipped = reshape(clamp(x, -1, 1), [2, 16, 64, 1, 64, 1]);
    const large = reshape(broadcastTo(clipped, [2, 16, 64, 2, 64, 2]), [2, 16, 128, 128]);
    const outputs = [add(conv2d(large, w, { padding: 1 }), large)];
    const convolutions = (of: DeviceLimits): readonly number[] =>
      planOf(outputs, [], of).steps.flatMap(({ kernel }) => {
        const contraction = contractionOf(kernel);
        return contraction !== null && convolutionOf(kernel, contraction) !== null ? [kernel.axes.length] : [];
      });
    assert.deepEqual(convolutions({ ...limits, elements: 2 ** 24 }), [7]);
  });

  it("keeps what products read, what is read over and over, and what is made of an array that is overwritten", () => {
    const [x, w] = [input(64, 64), input(64, 64)];
    const factor = normalized(x);
    const same = (outputs: readonly Tensor[], donations = [] as { input: number; output: number }[]): void =>
      assert.deepEqual(
        planOf(outputs, donations, plenty).steps.map(({ kernel }) => kernel.name),
        planOf(outputs, donations).steps.map(({ kernel }) => kernel.name),
      );
    same([matmul(factor, w), matmul(w, factor)]);
    const few = input(64, 8);
    // So little of it is read that each element of it could be made as often.
    same([matmul(slice(factor, [[0, 4]]), few), matmul(slice(factor, [[4, 8]]), few)]);
    const row = exp(multiply(input(1, 64), 0.5));
    same([multiply(x, row), multiply(add(w, reduceSum(w, { axes: 1, keepAxes: true })), row)]);
    const sum = exp(add(x, w));
    same([multiply(sum, input(64, 64)), reduceSum(multiply(sum, input(64, 64)), { axes: 1 })]);
    const held = exp(multiply(x, 0.5));
    const updated = subtract(x, multiply(held, 0.1));
    same([updated, reduceSum(multiply(held, w), { axes: 1 })], [{ input: 0, output: 0 }]);
  });

  it("keeps to a device's number of arrays", () => {
    const [a, b] = [input(8, 64), input(8, 64)];
    const rows = (x: Tensor): Tensor => reduceSum(x, { axes: 1, keepAxes: true });
    const value = exp(multiply(add(a, rows(a)), rows(b)));
    const outputs = [multiply(value, add(a, b)), rows(multiply(value, a))];
    let most = 0;
    for (const operands of [3, 4]) {
      const plan = planOf(outputs, [], { ...plenty, operands, arrays: operands + 1 });
      for (const step of plan.steps) assert.ok(step.operands.length <= operands, `${step.operands.length} arrays`);
      most = Math.max(...plan.steps.map((step) => step.operands.length));
    }
    assert.equal(most, 4);
  });
});
