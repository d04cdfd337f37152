/** Gradients of a softmax that read the softmax rather than its exponentials. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import type { Tensor } from "../../../engine/graph/tensor.ts";
import { grad, matmul, multiply, reduceSum, softmax, square } from "../../../engine/index.ts";
import type { Plan } from "../../../engine/kernel/plan.ts";
import { rootsOf, scalarsOf } from "../../../engine/kernel/scalar.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { interpretPlan } from "../../../testing/bounds/interpretKernel.ts";
import { input, limits, planOf } from "./plannedFor.ts";

const plenty: DeviceLimits = { ...limits, arithmetic: "plenty" };

const attended = ([q, k, v]: readonly [Tensor, Tensor, Tensor]): Tensor => matmul(softmax(matmul(q, k), 1), v);
const loss = (all: readonly [Tensor, Tensor, Tensor]): Tensor => reduceSum(square(attended(all)));
const given = (): readonly [Tensor, Tensor, Tensor] => [input(8, 4), input(4, 32), input(32, 4)];

/** What each output is, for logits up to `scale`. */
function outputsOf(plan: Plan, scale: number): readonly Float64Array[] {
  const inputs = plan.buffers.flatMap(({ role, length }) =>
    role.kind === "input" ? [Float32Array.from({ length }, (_, i) => scale * Math.sin(i * 1.7 + role.index))] : [],
  );
  const values = interpretPlan(plan, inputs, accuracies.oracle);
  return plan.buffers.flatMap(({ role }, buffer) => (role.kind === "output" ? [at(values, buffer).values] : []));
}

/** Steps that compute exponentials. */
const exponentials = ({ steps }: Plan): number =>
  steps.filter(({ kernel }) =>
    scalarsOf(...rootsOf(kernel)).some((scalar) => scalar.kind === "unary" && scalar.op === "exp"),
  ).length;

describe("readSoftmax", () => {
  it("gives the same first and second derivatives but for rounding", () => {
    fc.assert(
      fc.property(fc.constantFrom(0.1, 1, 6), fc.boolean(), (scale, isSecond) => {
        const all = given();
        const second = (x: readonly [Tensor, Tensor, Tensor]): Tensor =>
          grad(loss)(x).reduce((sum, each) => sum.add(reduceSum(square(each))), reduceSum(multiply(x[0], 0)));
        const outputs = isSecond ? grad(second)(all) : grad(loss)(all);
        const [read, kept] = [planOf(outputs, [], plenty), planOf(outputs)].map((plan) => outputsOf(plan, scale));
        (kept ?? []).forEach((values, output) => {
          const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          values.forEach((value, i) => {
            const difference = Math.abs((read?.[output]?.[i] ?? NaN) - value);
            assert.ok(difference <= 1e-12 * largest, `${difference} beside ${largest}`);
          });
        });
      }),
      { numRuns: 6 },
    );
  });

  it("stores no exponentials of attention", () => {
    const outputs = grad(loss)(given());
    // Their sum, and the softmax that the product reads: both make them anew.
    assert.equal(exponentials(planOf(outputs, [], plenty)), 2);
    assert.equal(exponentials(planOf(outputs)), 1);
    const stored = planOf(outputs).steps.length - planOf(outputs, [], plenty).steps.length;
    assert.equal(stored, 1);
  });

  it("leaves the exponentials where no product reads the softmax", () => {
    const outputs = grad((x: Tensor) => reduceSum(square(softmax(x, 1))))(input(6, 5));
    // To the last bit, which products with the sum would change.
    assert.deepEqual(outputsOf(planOf([outputs], [], plenty), 1), outputsOf(planOf([outputs]), 1));
  });
});
