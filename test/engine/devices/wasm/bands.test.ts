import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../../engine/devices/wasm/device.ts";
import { bandsOf } from "../../../../engine/devices/wasm/program/bands.ts";
import { regionsOf } from "../../../../engine/kernel/access.ts";
import { joinSteps } from "../../../../engine/passes/joinSteps.ts";
import { atOnce } from "../../../../engine/devices/eventLoop.ts";
import { findingDistinct } from "../../../../engine/devices/wasm/program/module.ts";
import {
  compile,
  divide,
  exp,
  explain,
  mean,
  pad,
  reduceMax,
  reduceSum,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
} from "../../../../engine/index.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { assertRuns, stepPlans } from "./stepPlans.ts";

/** Every kernel is shared among the threads, however small. */
const devices: KernelDevice[] = [];
for (const threads of [1, 3]) devices.push(await createWasmDevice({ threads, sharedCost: 0 }));
after(() => devices.forEach((device) => device.dispose()));

/** How many steps each of a plan's bands has. */
function bandLengths(plan: Plan): readonly number[] {
  const { steps } = joinSteps(plan, { operands: Infinity, results: Infinity, arrays: Infinity, joins: "rows" });
  const { distinct, numbers } = atOnce(findingDistinct(steps.map(({ kernel }) => kernel)));
  const kernelOf = (step: number) => {
    const compiled = distinct[numbers[step] ?? -1];
    assert.ok(compiled !== undefined);
    return compiled;
  };
  return bandsOf(steps, kernelOf, regionsOf(plan)).map(({ units }) => units.length);
}

test("steps in bands of rows give the bits of steps one after the other", async () => {
  let bands = 0;
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(stepPlans([8, 12, 32, 40, 64, 96], [1, 3, 8, 16, 20, 32, 64]), async (plan) => {
      await assertRuns(devices, plan);
      const lengths = bandLengths(plan);
      bands += lengths.length;
      steps += lengths.reduce((sum, length) => sum + length, 0);
    }),
    { numRuns: 300 },
  );
  assert.ok(bands > 90, `only ${bands} bands`);
  assert.ok(steps > 240, `only ${steps} steps in them`);
});

for (const { what, compute } of [
  {
    what: "softmax",
    compute: (x: Tensor) => {
      const exponentials = exp(subtract(x, reduceMax(x, { axes: 1, keepAxes: true })));
      return divide(exponentials, reduceSum(exponentials, { axes: 1, keepAxes: true }));
    },
  },
  {
    what: "normalization of rows, twice",
    compute: (x: Tensor) => {
      const normalize = (w: Tensor): Tensor => divide(w, sqrt(mean(square(w), { axes: 1, keepAxes: true })));
      return normalize(normalize(x));
    },
  },
]) {
  test(`${what} goes through memory once, in bands of rows`, async () => {
    const x = tensor(
      Float32Array.from({ length: 512 * 96 }, (_, index) => Math.sin(index)),
      { shape: [512, 96] },
    );
    const results: unknown[] = [];
    for (const device of devices) {
      const compiled = compile(compute, { device });
      const { kernels } = await explain(compiled, [x]);
      assert.ok(kernels.length > 1);
      for (const { sources } of kernels)
        assert.match(sources[0]?.text ?? "", /^;; schedule: .*, in bands of 64 of 512 rows\n/);
      results.push(await (await compiled(x)).array());
      compiled.dispose();
    }
    assert.deepEqual(results[1], results[0]);
  });
}

test("a step whose blocks are counted from within a row is in no band, as threads would read each other's rows", async () => {
  const size = 2 ** 17;
  const x = tensor(new Float32Array(size).fill(1));
  for (const [low, high] of [
    [0, 1024],
    [1024, 0],
    [3, 1021],
    [1021, 3],
  ] as const) {
    const compute = (given: Tensor): Tensor => reduceSum(pad(given, [[low, high]]));
    for (const device of devices) {
      // Memory that a program hasn't written holds zeros or what others left.
      const compiled = compile(compute, { device });
      assert.equal(await (await compiled(x)).item(), size, `${low} elements before`);
      const { kernels } = await explain(compiled, [x]);
      const inBands = kernels.filter(({ sources }) => /, in bands of/.test(sources[0]?.text ?? ""));
      assert.equal(inBands.length > 0, low % 1024 === 0, `${low} elements before`);
      compiled.dispose();
    }
  }
});
