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
  einsum,
  exp,
  explain,
  mean,
  pad,
  reduceMax,
  reduceSum,
  softmax,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
  vjp,
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

test("attention goes head by head through all of its steps, forward and back, with the same bits on any threads", async () => {
  const shape = [24, 32, 16];
  const numbers = (seed: number): Tensor =>
    tensor(
      Float32Array.from({ length: 24 * 32 * 16 }, (_, index) => Math.sin(index * (1.3 + seed))),
      { shape },
    );
  const attend = ([q, k, v]: readonly Tensor[]): Tensor =>
    einsum("nqk,nkc->nqc", softmax(einsum("nqc,nkc->nqk", q as Tensor, k as Tensor)), v as Tensor);
  const compute = (q: Tensor, k: Tensor, v: Tensor, cotangent: Tensor): readonly Tensor[] => {
    const { value, pullback } = vjp(attend, [q, k, v]);
    return [value, ...pullback(cotangent)];
  };
  const args = [numbers(0), numbers(1), numbers(2), numbers(3)] as const;
  const results: unknown[] = [];
  for (const device of devices) {
    const compiled = compile(compute, { device });
    const { kernels } = await explain(compiled, [...args]);
    assert.equal(kernels.filter(({ kind }) => kind === "product").length, 6);
    const inBands = kernels.filter(({ sources }) =>
      /^;; schedule: .*, in bands of \d+ of 24 rows\n/.test(sources[0]?.text ?? ""),
    );
    // All but what the last product is made of, which takes the memory of an array of another size.
    assert.deepEqual(
      kernels.filter((kernel) => !inBands.includes(kernel)).map(({ kind }) => kind),
      ["element-wise", "product"],
    );
    // Each step of a band has copies of its own for each thread: another time nobody finds another's.
    for (let time = 0; time < 20; time++) {
      results.push(await Promise.all((await compiled(...args)).map((each) => each.data())));
    }
    compiled.dispose();
  }
  const [first, ...others] = results;
  for (const other of others) assert.deepEqual(other, first);
});

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
