import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  powerFunctionBeta,
  powerFunctionUpdateRates,
  sigmaRelToGamma,
  updateAverages,
} from "../../../diffusion/ema/index.ts";
import {
  compile,
  compileStep,
  createDevice,
  createState,
  type Device,
  EvenkeelError,
  scalar,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";

type Weights = { readonly w: Tensor; readonly list: readonly Tensor[] };
const weights = (w: readonly number[], b: number): Weights => ({ w: tensor(Float32Array.from(w)), list: [scalar(b)] });

const numbers = async ({ w, list }: Weights): Promise<number[]> => [
  ...(await w.data()),
  ...(await (list[0] as Tensor).data()),
];

const devices: Device[] = [];
after(() => devices.forEach((device) => device.dispose()));

for (const name of ["oracle", "wasm"] as const) {
  describe(`updateAverages on ${name}`, () => {
    it("keeps beta of each average, for any number of them", async () => {
      const device = await createDevice(name);
      devices.push(device);
      const update = compile(
        (averages: readonly Weights[], theta: Weights, rates: Tensor) => updateAverages(averages, theta, rates),
        { device },
      );
      const value = fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround);
      const tree = fc.array(value, { minLength: 3, maxLength: 3 });
      await fc.assert(
        fc.asyncProperty(tree, tree, tree, fc.integer({ min: 2, max: 500 }), async (a, b, theta, time) => {
          const make = ([x = 0, y = 0, z = 0]: readonly number[]): Weights => weights([x, y], z);
          const rates = powerFunctionUpdateRates([0.05, 0.2], time, 1);
          const updated = await update([make(a), make(b)], make(theta), rates);
          for (const [i, sigmaRel] of [0.05, 0.2].entries()) {
            const beta = powerFunctionBeta(sigmaRel, time, 1);
            const found = await numbers(updated[i] as Weights);
            found.forEach((average, j) => {
              const wanted = beta * ([a, b][i]?.[j] ?? 0) + (1 - beta) * (theta[j] ?? 0);
              // Rounding of the rate, the step, the product and the sum, each of numbers up to 8.
              assert.ok(Math.abs(average - wanted) <= 4 * 8 * 2 ** -24, `${average}, wanted ${wanted}`);
            });
          }
        }),
        { numRuns: 40 },
      );
      update.dispose();
    });
  });
}

describe("updateAverages", () => {
  it("gives the weights themselves at the first update, and leaves what doesn't change", async () => {
    const old = weights([1e8, -3], 0.1);
    const theta = weights([0.1, 1 / 3], -1e-20);
    const [firstUpdate] = updateAverages([old], theta, powerFunctionUpdateRates([0.1], 8, 8));
    assert.deepEqual(await numbers(firstUpdate as Weights), await numbers(theta));
    for (const time of [9, 12, 1000]) {
      const [same] = updateAverages([theta], theta, powerFunctionUpdateRates([0.1], time, 1));
      assert.deepEqual(await numbers(same as Weights), await numbers(theta));
    }
  });

  it("tracks the average in a step on the device; with skipped steps the interval counts", async () => {
    const device = await createDevice("wasm");
    devices.push(device);
    const sigmaRels = [0.05, 0.1, 0.2];
    const step = compileStep(
      (averages: readonly Weights[], theta: Weights, rates: Tensor) => ({
        state: updateAverages(averages, theta, rates),
        result: rates,
      }),
      { device },
    );
    // After updates at these times of constant weights between them, a profile's share of each is known in closed form.
    const times = [4, 5, 6, 12, 13, 40, 41, 64];
    const theta = times.map((_, i) => Math.sin(3 * i));
    const state = await createState(
      sigmaRels.map((): Weights => weights([9, 9], 9)),
      device,
    );
    let last = 0;
    for (const [i, time] of times.entries()) {
      const value = theta[i] ?? 0;
      await step(state, weights([value, 2 * value], -value), powerFunctionUpdateRates(sigmaRels, time, time - last));
      last = time;
    }
    const averages = await state.read();
    for (const [i, sigmaRel] of sigmaRels.entries()) {
      const exponent = sigmaRelToGamma(sigmaRel) + 1;
      const wanted = times.reduce((sum, time, k) => {
        const share = (time / last) ** exponent - ((times[k - 1] ?? 0) / last) ** exponent;
        return sum + share * (theta[k] ?? 0);
      }, 0);
      const [w0 = 0, w1 = 0, b = 0] = await numbers(averages[i] as Weights);
      for (const [found, scale] of [
        [w0, 1],
        [w1, 2],
        [b, -1],
      ] as const) {
        // Eight updates with four roundings each of numbers up to 4.
        assert.ok(Math.abs(found - scale * wanted) <= 32 * 4 * 2 ** -24, `${found}, wanted ${scale * wanted}`);
      }
    }
    state.dispose();
    step.dispose();
  });

  it("does not drift with rates that float32 can't take from 1", async () => {
    // 1 - 1e-9 is 1 in float32; the update must still move by 1e-9 of the difference.
    const [moved] = updateAverages(
      [weights([0, 0], 0)],
      weights([1, 1], 1),
      powerFunctionUpdateRates([0.1], 2 ** 33, 1),
    );
    const rate = (sigmaRelToGamma(0.1) + 1) * 2 ** -33;
    for (const value of await numbers(moved as Weights)) assert.ok(Math.abs(value / rate - 1) < 1e-6);
  });

  it("refuses averages and rates that don't fit", () => {
    const refuses = (message: RegExp, make: () => unknown): void =>
      assert.throws(
        make,
        (error) => error instanceof EvenkeelError && error.code === "shape" && message.test(error.message),
      );
    const one = weights([1, 2], 3);
    refuses(/1 averages with rates of shape \[2\]; wanted \[1\]/, () =>
      updateAverages([one], one, powerFunctionUpdateRates([0.1, 0.2], 8, 1)),
    );
    refuses(/rates of shape \[\]/, () => updateAverages([one], one, scalar(0.5)));
    const rates = powerFunctionUpdateRates([0.1], 8, 1);
    refuses(/average 0 has \[3\] at w, the weights have \[2\]/, () =>
      updateAverages([weights([1, 2, 3], 4)], one, rates),
    );
    refuses(/average 0 has 3 tensors, the weights have 2/, () =>
      updateAverages([{ ...one, list: [scalar(1), scalar(2)] }], one, rates),
    );
    refuses(/average 0 has v, the weights have w/, () =>
      updateAverages<unknown>([{ v: one.w, list: one.list }], one, rates),
    );
  });
});
