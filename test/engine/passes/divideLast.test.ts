/** Products that read exponentials, and are divided by their sums. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at } from "../../../engine/graph/shape.ts";
import type { Tensor } from "../../../engine/graph/tensor.ts";
import { add, grad, matmul, multiply, permute, reduceSum, reshape, softmax, square } from "../../../engine/index.ts";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import type { Plan } from "../../../engine/kernel/plan.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { interpretPlan } from "../../../testing/bounds/interpretKernel.ts";
import { input, limits, planOf } from "./plannedFor.ts";

/** Plans that keep the softmax. */
const plenty: DeviceLimits = { ...limits, arithmetic: "plenty" };

function outputsOf(plan: Plan): readonly Float64Array[] {
  const inputs = plan.buffers.flatMap(({ role, length }) =>
    role.kind === "input" ? [Float32Array.from({ length }, (_, i) => 3 * Math.sin(i * 1.7 + role.index))] : [],
  );
  const values = interpretPlan(plan, inputs, accuracies.oracle);
  return plan.buffers.flatMap(({ role }, buffer) => (role.kind === "output" ? [at(values, buffer).values] : []));
}

/** Arrays as large as the softmax that a plan keeps: what holds so many elements, and isn't given or asked for. */
const kept = ({ buffers }: Plan, length: number): number =>
  buffers.filter((buffer) => buffer.role.kind === "temporary" && buffer.length === length).length;

function assertSame(outputs: readonly Tensor[]): void {
  const [one, other] = [planOf(outputs), planOf(outputs, [], plenty)].map(outputsOf);
  (other ?? []).forEach((values, output) => {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    values.forEach((value, i) => {
      const difference = Math.abs((one?.[output]?.[i] ?? NaN) - value);
      assert.ok(difference <= 1e-12 * largest, `${difference} beside ${largest}`);
    });
  });
}

type Three = readonly [Tensor, Tensor, Tensor];
const heads = 3;
const given = (queries: number, keys: number, channels: number): Three => [
  input(heads, queries, channels),
  input(heads, channels, keys),
  input(heads, keys, channels),
];
const attended = ([q, k, v]: Three, axis: number): Tensor => matmul(softmax(matmul(q, k), axis), v);

describe("divideLast", () => {
  it("gives the same but for rounding: values, first and second derivatives, either factor, any axis of the softmax, through views", () => {
    const sizes = fc.record({
      queries: fc.integer({ min: 2, max: 9 }),
      keys: fc.integer({ min: 2, max: 9 }),
      channels: fc.integer({ min: 1, max: 9 }),
    });
    const forms = fc.record({
      axis: fc.constantFrom(0, 1, 2),
      isRight: fc.boolean(),
      order: fc.constantFrom(0, 1, 2),
      isFlat: fc.boolean(),
    });
    fc.assert(
      fc.property(sizes, forms, ({ queries, keys, channels }, { axis, isRight, order, isFlat }) => {
        const all = given(queries, keys, channels);
        const product = ([q, k, v]: Three): Tensor => {
          const logits = matmul(q, k);
          const weights = isFlat
            ? reshape(softmax(reshape(logits, [heads, 1, queries, keys]), axis === 0 ? 0 : axis + 1), logits.shape)
            : softmax(logits, axis);
          if (!isRight) return matmul(weights, v);
          return matmul(permute(v, [0, 2, 1]), permute(weights, [0, 2, 1]));
        };
        const loss = (x: Three): Tensor => reduceSum(square(product(x)));
        const second = (x: Three): Tensor =>
          grad(loss)(x).reduce((sum, each) => add(sum, reduceSum(square(each))), reduceSum(multiply(x[0], 0)));
        assertSame(order === 0 ? [product(all)] : order === 1 ? grad(loss)(all) : grad(second)(all));
      }),
      { numRuns: 60 },
    );
  });

  it("keeps exponentials and no softmax, forward and in gradients", () => {
    const [queries, keys, channels] = [16, 32, 8];
    const forward = planOf([attended(given(queries, keys, channels), 2)]);
    // Logits and exponentials; the sums lie elsewhere.
    assert.equal(kept(forward, heads * queries * keys), 2);
    const outputs = grad((x: Three) => reduceSum(square(attended(x, 2))))(given(queries, keys, channels));
    // Logits, exponentials, and two gradients: of weights and of logits.
    assert.equal(kept(planOf(outputs), heads * queries * keys), 4);
  });

  it("leaves a softmax that is asked for, that others read, or that is smaller than what would be divided in its place", () => {
    const all = given(16, 32, 8);
    const weights = softmax(matmul(all[0], all[1]), 2);
    const divisions = ({ steps }: Plan): readonly string[] =>
      steps.flatMap(({ kernel }) => (kernel.name.includes("divide") ? [kernel.name] : []));
    const asked = planOf([weights, matmul(weights, all[2])]);
    assert.ok(divisions(asked).every((name) => !name.includes("matmul") && !name.includes("sum_multiply")));
    const read = planOf([matmul(weights, all[2]), square(weights), reduceSum(multiply(weights, 3))]);
    assert.ok(divisions(read).every((name) => !name.includes("sum_multiply")));
    // Few queries and keys, many channels: the cotangent is larger than the softmax.
    const outputs = grad((x: Three) => reduceSum(square(attended(x, 2))))(given(4, 4, 32));
    assert.equal(kept(planOf(outputs), heads * 16), 5);
  });
});
