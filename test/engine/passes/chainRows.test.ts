import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  add,
  divide,
  exp,
  matmul,
  multiply,
  permute,
  reduceMax,
  reduceSum,
  reshape,
  slice,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { type Plan, type PlanStep, partsOf } from "../../../engine/kernel/plan.ts";
import { chainRows } from "../../../engine/passes/chainRows.ts";
import { planFor } from "../../../engine/program/planFor.ts";
import { buildProgram, inputData, loopFreePrograms } from "../../../testing/arbitraries/programs.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { checkPrograms } from "../../../testing/laws/programLaw.ts";
import { ReferenceDevice } from "../../../testing/devices/referenceDevice.ts";
import { input, limits, planOf } from "./plannedFor.ts";

const apart: DeviceLimits = { ...limits, temporaries: "slots", overlap: true, inPlace: false, arrays: 8, operands: 7 };
const chained: DeviceLimits = { ...apart, chains: true };

/** How many steps there are, and how many stages each has. */
const stagesOf = (plan: Plan): readonly number[] => plan.steps.map(({ stages }) => stages?.length ?? 1);

function softmax(x: Tensor, axis: number): Tensor {
  const raised = exp(subtract(x, reduceMax(x, { axes: axis, keepAxes: true })));
  return divide(raised, reduceSum(raised, { axes: axis, keepAxes: true }));
}

const normalized = (x: Tensor, axis: number): Tensor =>
  divide(x, sqrt(reduceSum(square(x), { axes: axis, keepAxes: true })));

describe("chainRows", () => {
  it("keeps every step, each behind all that it needs", async () => {
    let chains = 0;
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, async (spec) => {
        const given = spec.inputs.map((one) => tensor(inputData(one), { shape: one.shape, dtype: one.dtype }));
        const { plan } = await planFor((...args: readonly Tensor[]) => buildProgram(spec, args), given, limits);
        const { steps } = chainRows(plan.steps, chained);
        const parts = steps.flatMap(partsOf);
        assert.deepEqual(new Set(parts), new Set(plan.steps));
        assert.equal(parts.length, plan.steps.length);
        checkOrder(parts);
        steps.forEach((step) => checkWhole(step));
        chains += steps.filter(({ stages }) => stages !== undefined).length;
      }),
      { numRuns: 300, seed: 11 },
    );
    assert.ok(chains > 50, `only ${chains} chains`);
  });

  it("computes what the program says, in 300 random programs whose chains are run row by row", async () => {
    const device = new ReferenceDevice("slots");
    assert.ok(device.limits.chains);
    await checkPrograms(device, { runs: 300, seed: 20_261_130, accuracy: accuracies.cpu });
  });

  it("makes softmax and norms one step, along any axis", () => {
    for (const axis of [0, 1, 2]) {
      const x = input(8, 6, 12);
      assert.deepEqual(stagesOf(planOf([softmax(x, axis)], [], chained)), [4]);
      assert.deepEqual(stagesOf(planOf([normalized(x, axis)], [], chained)), [2]);
      assert.equal(planOf([softmax(x, axis)], [], apart).steps.length, 4);
    }
  });

  it("adds what is made of a sum to it, however long the sum is", () => {
    const sum = reduceSum(input(4, 4094), { axes: 1, keepAxes: true });
    // Alone the sum would have no more threads. With its terms there would be too much for four rows.
    assert.deepEqual(stagesOf(planOf([add(input(4, 8), sum)], [], chained)), [2]);
  });

  it("follows rows through axes that are cut, merged and moved", () => {
    const x = input(4, 6, 35);
    // As channels of images, of which a part goes on.
    const cut = slice(reshape(normalized(x, 2), [4, 2, 3, 7, 5]), [
      [0, 4],
      [1, 2],
      [0, 3],
      [0, 7],
      [0, 5],
    ]);
    assert.deepEqual(
      stagesOf(planOf([multiply(cut, reduceSum(cut, { axes: [3, 4], keepAxes: true }))], [], chained)),
      [4],
    );
    // Rows of the first are columns of the second, and none of its rows alone.
    const crossed = normalized(permute(normalized(x, 2), [0, 2, 1]), 2);
    assert.deepEqual(stagesOf(planOf([crossed], [], chained)), [4]);
    const [, rows] = planOf([crossed], [], chained).steps[0]?.stages?.map((stage) => stage.rows.length) ?? [];
    assert.equal(rows, 1);
  });

  it("leaves products alone, and rows that are too few for what they hold", () => {
    const x = input(64, 64);
    // The product's result is divided, not the softmax.
    assert.deepEqual(stagesOf(planOf([matmul(softmax(x, 1), x)], [], chained)), [3, 1]);
    // One sum of everything and what is divided by it: as one step it would keep one workgroup busy.
    const large = input(512, 512);
    const whole = divide(large, reduceSum(square(large)));
    assert.ok(stagesOf(planOf([whole], [], chained)).every((stages) => stages === 1));
    const small = input(8, 8);
    assert.deepEqual(stagesOf(planOf([divide(small, reduceSum(square(small)))], [], chained)), [2]);
  });

  it("binds no more arrays than a device can, and one for what a chain makes", () => {
    const inputs = Array.from({ length: 6 }, () => input(16, 16));
    const total = inputs.reduce((x, y) => add(x, y));
    const outputs = [normalized(total, 1), softmax(multiply(total, 2), 1)];
    for (const arrays of [7, 8, 9, 12]) {
      const { buffers, steps } = planOf(outputs, [], { ...chained, arrays });
      for (const { operands, results, stages } of steps) {
        const touched = [...operands, ...results].map((buffer) => ({ buffer, role: at(buffers, buffer).role }));
        const memories = touched.map(({ buffer, role }) => (role.kind === "temporary" ? `slot ${role.slot}` : buffer));
        assert.ok(new Set(memories).size <= arrays);
        const made = results.filter((buffer) => at(buffers, buffer).role.kind === "temporary");
        if (stages !== undefined)
          assert.ok(
            new Set(made.map((buffer) => memories[touched.findIndex((each) => each.buffer === buffer)])).size <= 1,
          );
      }
    }
  });

  it("has no step write over what another one of its chain reads in other rows", () => {
    const x = input(8, 16);
    // The new value of x is ready when all else is: who reads x comes first, and not with it.
    const sums = reduceSum(x, { axes: 0, keepAxes: true });
    const donations = [{ input: 0, output: 0 }];
    const plan = planOf([multiply(x, sums)], donations, { ...chained, inPlace: true });
    for (const { stages } of plan.steps) {
      const steps = (stages ?? []).map(({ step }) => step);
      const output = plan.buffers.findIndex(({ role }) => role.kind === "output");
      const writer = steps.find(({ results }) => results.includes(output));
      const others = steps.filter((step) => step !== writer);
      assert.ok(
        writer === undefined || plan.aliases[0] === null || others.every(({ operands }) => !operands.includes(0)),
      );
    }
  });
});

function checkOrder(steps: readonly PlanStep[]): void {
  const made = new Set(steps.flatMap(({ results }) => results));
  const done = new Set<number>();
  for (const { operands, results } of steps) {
    for (const operand of operands) assert.ok(!made.has(operand) || done.has(operand), `${operand} isn't made yet`);
    for (const result of results) done.add(result);
  }
}

/** A step tells what its stages touch. */
function checkWhole({ stages, operands, results, kernel }: PlanStep): void {
  if (stages === undefined) return;
  const steps = stages.map(({ step }) => step);
  const made = steps.flatMap((step) => step.results);
  assert.deepEqual(new Set(results), new Set(made));
  assert.deepEqual(
    new Set(operands),
    new Set(steps.flatMap((step) => step.operands).filter((read) => !made.includes(read))),
  );
  assert.equal(
    kernel.flops,
    steps.reduce((sum, step) => sum + step.kernel.flops, 0),
  );
  assert.ok(stages.every(({ rows }) => rows.length === at(stages, 0).rows.length));
}
