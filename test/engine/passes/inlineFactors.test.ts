/** Values with borders inside the products that read them: the same results from fewer kernels. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import type { Tensor } from "../../../engine/graph/tensor.ts";
import { add, concat, conv2d, exp, grad, matmul, multiply, pad, reduceSum, reshape } from "../../../engine/index.ts";
import { factoredContractionOf } from "../../../engine/kernel/contraction.ts";
import { normalizeKernel } from "../../../engine/kernel/normalize.ts";
import type { Plan } from "../../../engine/kernel/plan.ts";
import { rootsOf, scalarsOf } from "../../../engine/kernel/scalar.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { interpretPlan } from "../../../testing/bounds/interpretKernel.ts";
import { input, limits, planOf } from "./plannedFor.ts";

const made: DeviceLimits = { ...limits, factors: "made", concurrency: 256 };

/** What each output of a plan is, for whole numbers as inputs. */
function outputsOf(plan: Plan): readonly Float64Array[] {
  const inputs = plan.buffers.flatMap(({ role, length }) =>
    role.kind === "input"
      ? [Float32Array.from({ length }, (_, i) => ((i * 7 + role.index * 5 + ((i * i) % 11)) % 5) - 2)]
      : [],
  );
  const values = interpretPlan(plan, inputs, accuracies.oracle);
  return plan.buffers.flatMap(({ role }, buffer) => (role.kind === "output" ? [at(values, buffer).values] : []));
}

const borders = ({ steps }: Plan): number =>
  steps.filter(({ kernel }) => scalarsOf(...rootsOf(kernel)).some(({ kind }) => kind === "region")).length;

/** A convolution of two concatenated images and its gradients. */
function program(padding: number, stride: number, dilation: number, channels: number, size: number): readonly Tensor[] {
  const [a, b, filter] = [input(4, channels, size, size), input(4, 8 - channels, size, size), input(8, 8, 3, 3)];
  const loss = ([x, y, w]: readonly [Tensor, Tensor, Tensor]): Tensor => {
    const image = concat([multiply(x, 2), y], 1);
    const out = conv2d(image, w, { padding, stride, dilation });
    return reduceSum(multiply(out, out));
  };
  return [loss([a, b, filter]), ...grad(loss)([a, b, filter])];
}

describe("inlineFactors", () => {
  it("changes no result of convolutions of concatenated images and of their gradients", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2),
        fc.constantFrom(1, 1, 2),
        fc.constantFrom(1, 1, 2),
        fc.constantFrom(3, 4),
        fc.constantFrom(10, 12),
        (padding, stride, dilation, channels, size) => {
          const outputs = program(padding, stride, dilation, channels, size);
          assert.deepEqual(outputsOf(planOf(outputs, [], made)), outputsOf(planOf(outputs)));
        },
      ),
      { numRuns: 5 },
    );
  });

  it("leaves no kernel that only puts borders around what products read", () => {
    const outputs = program(1, 1, 1, 4, 16);
    const [stored, inlined] = [planOf(outputs), planOf(outputs, [], made)];
    assert.ok(borders(stored) >= 2);
    assert.equal(borders(inlined), 0);
    const kinds = inlined.steps.map(({ kernel }) =>
      scalarsOf(...rootsOf(kernel)).filter(({ kind }) => kind === "within"),
    );
    assert.ok(kinds.filter((found) => found.length > 0).length >= 3);
  });

  it("makes once what is costly, and puts the border around it where it is read", () => {
    const [x, filter] = [input(4, 8, 16, 16), input(8, 8, 3, 3)];
    const plan = planOf([conv2d(exp(x), filter, { padding: 1 })], [], made);
    assert.deepEqual(
      plan.steps.map(({ kernel }) => kernel.name.replace(/_\d+$/, "")),
      ["exp", "sum_multiply"],
    );
  });

  it("stores what something else reads, too, what is small, and what a device wants in memory", () => {
    const [x, filter] = [input(4, 8, 16, 16), input(8, 8, 3, 3)];
    const bordered = pad(x, [
      [0, 0],
      [0, 0],
      [1, 1],
      [1, 1],
    ]);
    const out = conv2d(bordered, filter, { padding: 0 });
    assert.equal(borders(planOf([out, bordered], [], made)), 1);
    assert.ok(borders(planOf([out, reduceSum(add(bordered, 1))], [], made)) >= 1);
    assert.equal(borders(planOf([out])), 1);
    const [little, few] = [input(1, 8, 4, 4), input(2, 8, 3, 3)];
    assert.equal(borders(planOf([conv2d(little, few, { padding: 1 })], [], made)), 1);
  });

  it("keeps what can't be told from a product's axes, and to a device's number of arrays", () => {
    const [a, b, c] = [input(8, 40, 5), input(8, 56, 5), input(480, 32)];
    const joined = concat([a, b], 1);
    // Rows of the product run over the border.
    const rows = matmul(reshape(joined, [96 * 8, 5]), input(5, 64));
    assert.equal(borders(planOf([rows], [], made)), 1);
    const depth = matmul(reshape(joined, [8, 480]), c);
    assert.ok(borders(planOf([depth], [], made)) <= 1);
    const wide = concat([input(64, 16), input(64, 16), input(64, 16)], 1);
    const product = matmul(wide, input(48, 64));
    assert.equal(borders(planOf([product], [], made)), 0);
    assert.equal(borders(planOf([product], [], { ...made, operands: 3 })), 1);
  });

  it("gives kernels that are still known as products", () => {
    const plan = planOf(program(1, 1, 1, 4, 16), [], made);
    const products = plan.steps.filter(({ kernel }) => {
      const contraction = factoredContractionOf(normalizeKernel(kernel));
      return contraction !== null && contraction.rows.length > 0 && contraction.columns.length > 0;
    });
    assert.ok(products.length >= 3);
  });
});
