import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../../engine/devices/wasm/device.ts";
import { joinSteps } from "../../../../engine/passes/joinSteps.ts";
import type { Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import type { Plan, PlanBuffer } from "../../../../engine/kernel/plan.ts";
import { assertRuns, stepPlans } from "./stepPlans.ts";

/** Every kernel is shared among the threads, however small. */
const devices: KernelDevice[] = [];
for (const threads of [1, 3]) devices.push(await createWasmDevice({ threads, sharedCost: 0 }));
after(() => devices.forEach((device) => device.dispose()));

test("joined steps give the bits of steps one after the other", async () => {
  let [joinedSteps, registers] = [0, 0];
  await fc.assert(
    fc.asyncProperty(stepPlans([1, 2, 3, 4, 5], [1, 3, 7, 16, 20, 32, 36]), async (plan) => {
      await assertRuns(devices, plan);
      for (const { kernel, results } of joinSteps(plan, { operands: 64, results: 64, arrays: Infinity, joins: "rows" })
        .steps) {
        // Each kernel of these plans says that it takes one.
        const steps = kernel.flops;
        if (steps === 1) continue;
        joinedSteps += steps;
        registers += steps - results.length;
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(joinedSteps > 400, `only ${joinedSteps} steps were joined`);
  assert.ok(registers > 66, `only ${registers} results stayed in registers`);
  for (const device of devices) assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
});

/** x to a temporary, its rows' maxima, the temporary to output 0, x to another temporary `offset` bytes in, the maxima of that. */
function overlappingPlan(offset: number): Plan {
  const [rows, columns] = [3, 16];
  const points = rows * columns;
  const load = (coefficients: readonly number[]): Scalar => ({
    kind: "load",
    dtype: "f32",
    operand: 0,
    at: { offset: 0, coefficients },
  });
  const copy: Kernel = {
    name: "copy",
    axes: [{ role: "parallel", size: points }],
    operands: [{ dtype: "f32", length: points }],
    reduction: null,
    stores: [{ value: load([1]), dtype: "f32", length: points, at: { offset: 0, coefficients: [1] } }],
    flops: 1,
    bytes: 4,
  };
  const maxima: Kernel = {
    ...copy,
    name: "maxima",
    axes: [
      { role: "parallel", size: rows },
      { role: "reduce", size: columns },
    ],
    reduction: { op: "max", body: load([columns, 1]) },
    stores: [
      {
        value: { kind: "accumulator", dtype: "f32" },
        dtype: "f32",
        length: rows,
        at: { offset: 0, coefficients: [1, 0] },
      },
    ],
  };
  const buffer = (length: number, role: PlanBuffer["role"]): PlanBuffer => ({ dtype: "f32", length, role });
  return {
    buffers: [
      buffer(points, { kind: "input", index: 0 }),
      buffer(points, { kind: "temporary", slot: 0, offset: 0 }),
      buffer(rows, { kind: "output", index: 0 }),
      buffer(points, { kind: "output", index: 1 }),
      buffer(points, { kind: "temporary", slot: 0, offset }),
      buffer(rows, { kind: "output", index: 2 }),
    ],
    steps: [
      { kernel: copy, operands: [0], results: [1] },
      { kernel: maxima, operands: [1], results: [2] },
      { kernel: copy, operands: [1], results: [3] },
      { kernel: copy, operands: [0], results: [4] },
      { kernel: maxima, operands: [4], results: [5] },
    ],
    slots: [4 * points + offset + 64],
    inputs: 1,
    outputs: 3,
    aliases: [null, null, null],
  };
}

test("steps stay apart where one writes over a part of what another still reads", async () => {
  for (const { offset, sizes } of [
    { offset: 0, sizes: [1, 1, 2, 1] },
    { offset: 64, sizes: [1, 1, 1, 1, 1] },
  ]) {
    const plan = overlappingPlan(offset);
    assert.deepEqual(
      joinSteps(plan, { operands: 64, results: 64, arrays: Infinity, joins: "rows" }).steps.map(
        ({ kernel }) => kernel.flops,
      ),
      sizes,
    );
    await assertRuns(devices, plan);
  }
});
