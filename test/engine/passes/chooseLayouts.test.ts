/** Channels last: the same results, read in fours. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { productOf } from "../../../engine/devices/gpujs/wgsl/product/index.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  add,
  broadcastTo,
  conv2d,
  grad,
  maximum,
  multiply,
  reduceSum,
  square,
  type Tensor,
} from "../../../engine/index.ts";
import { normalizeKernel } from "../../../engine/kernel/normalize.ts";
import type { Plan } from "../../../engine/kernel/plan.ts";
import { buildImageNet, imageNets } from "../../arbitraries/imageNets.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { interpretPlan } from "../../../testing/bounds/interpretKernel.ts";
import { input, limits, planOf } from "./plannedFor.ts";

const seed = Number(process.env["EVENKEEL_SEED"] ?? 20261130);
const inOrder: DeviceLimits = { ...limits, factors: "made", concurrency: 256 };
const chosen: DeviceLimits = { ...inOrder, layouts: "chosen" };

/** What each output of a plan is, for small whole numbers as inputs, of which sums are exact in any order. */
function outputsOf(plan: Plan): readonly Float64Array[] {
  const inputs = plan.buffers.flatMap(({ role, length }) =>
    role.kind === "input"
      ? [Float32Array.from({ length }, (_, i) => ((i * 7 + role.index * 5 + ((i * i) % 11)) % 3) - 1)]
      : [],
  );
  const values = interpretPlan(plan, inputs, accuracies.oracle);
  return plan.buffers.flatMap(({ role }, buffer) => (role.kind === "output" ? [at(values, buffer).values] : []));
}

const laidIn = ({ buffers }: Plan): number => buffers.filter(({ layout }) => layout !== undefined).length;

/** Sides of products that read and make temporaries, and those that are read in fours. */
function sidesOf({ steps, buffers }: Plan): { readonly all: number; readonly inFours: number } {
  const isTemporary = (buffer: number): boolean => at(buffers, buffer).role.kind === "temporary";
  const sides = steps.flatMap(({ kernel, operands, results }) => {
    const product = productOf(normalizeKernel(kernel));
    if (product === null || !results.every(isTemporary)) return [];
    return [product.left, product.right].filter((side) => isTemporary(at(operands, side.load.operand)));
  });
  return { all: sides.length, inFours: sides.filter(({ inFours }) => inFours).length };
}

/** Convolutions with something in between, of filters and an image that are made, and their gradients, which are used. */
function network(channels: number, size: number, batch = 2): readonly Tensor[] {
  const filters = [1, 2, 3].map(() => input(channels, channels, 3, 3));
  const given = [input(batch, channels, size, size), ...filters];
  const made = (x: Tensor): Tensor => square(square(square(x)));
  const loss = (values: readonly Tensor[]): Tensor => {
    const [x, ...all] = values.map(made);
    assert.ok(x !== undefined, "there is an image");
    return reduceSum(square(all.reduce((image, w) => add(image, conv2d(maximum(image, 0), w, { padding: 1 })), x)));
  };
  // Each by its sum, as normalised gradients are.
  return grad(loss)(given).map((gradient) => multiply(gradient, broadcastTo(reduceSum(gradient), gradient.shape)));
}

describe("chooseLayouts", () => {
  it("changes no result of any network", () => {
    let [laid, plans] = [0, 0];
    fc.assert(
      fc.property(imageNets, (net) => {
        const outputs = buildImageNet(net, (shape) => input(...shape));
        const plan = planOf(outputs, [], chosen);
        plans++;
        laid += Number(laidIn(plan) > 0);
        const [wanted, got] = [outputsOf(planOf(outputs, [], inOrder)), outputsOf(plan)];
        wanted.forEach((values, output) => {
          const error = Math.max(...values.map((value) => Math.abs(value))) * 1e-12;
          values.forEach((value, i) => {
            const other = got[output]?.[i] ?? NaN;
            assert.ok(Math.abs(value - other) <= error, `output ${output}, element ${i}: ${other}, was ${value}`);
          });
        });
      }),
      { numRuns: 12, seed },
    );
    assert.ok(laid > plans / 4, `${laid} of ${plans} networks had channels last`);
  });

  it("lets all products read all sides in fours", () => {
    for (const [channels, size] of [
      [16, 8],
      [20, 8],
      [12, 10],
    ] as const) {
      const { all, inFours } = sidesOf(planOf(network(channels, size, 32), [], chosen));
      assert.ok(all >= 10, `${all} sides`);
      assert.equal(inFours, all);
      const before = sidesOf(planOf(network(channels, size, 32), [], inOrder));
      assert.ok(before.inFours < before.all, "in order some aren't");
    }
  });

  it("takes no more kernels, and no more of any array", () => {
    const [before, after] = [inOrder, chosen].map((given) => planOf(network(16, 8), [], given));
    assert.ok(before !== undefined && after !== undefined);
    assert.equal(after.steps.length, before.steps.length);
    assert.deepEqual(
      after.buffers.map(({ length }) => length),
      before.buffers.map(({ length }) => length),
    );
  });

  it("leaves what a caller sees, and what nobody would read in fours", () => {
    const plan = planOf(network(16, 8), [], chosen);
    for (const { role, layout } of plan.buffers) {
      if (role.kind !== "temporary") assert.equal(layout, undefined);
    }
    for (const channels of [3, 6, 9]) assert.equal(laidIn(planOf(network(channels, 24), [], chosen)), 0);
  });

  it("depends on shapes alone", () => {
    const layouts = (): readonly unknown[] => planOf(network(16, 8), [], chosen).buffers.map(({ layout }) => layout);
    assert.deepEqual(layouts(), layouts());
  });

  it("is only for devices that ask for it", () => {
    assert.equal(laidIn(planOf(network(16, 8), [], inOrder)), 0);
  });
});
