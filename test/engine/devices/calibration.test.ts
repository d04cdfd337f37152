import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fasterDevice, measureRates, someLayers, type Workload } from "../../../engine/devices/calibration.ts";
import type { DeviceName, KernelDevice } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import { createDevice } from "../../../engine/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

describe("choice of the faster device", () => {
  for (const name of ["wasm", "webgpu"] as const) {
    it(`measures ${name} and leaves nothing on it`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await createDevice(name);
      const before = device.memory();
      const { flops, bytes, step } = await measureRates(device, 1);
      for (const number of [flops, bytes, step, await someLayers.time(device)]) {
        assert.ok(number > 0 && Number.isFinite(number));
      }
      assert.deepEqual(device.memory(), before);
      device.dispose();
    });
  }

  const one = (): Promise<KernelDevice> => createDevice("wasm", { wasm: { threads: 1 } });
  const named = (name: DeviceName, make = one) => ({ name, make });
  const both = [named("wasm"), named("webgpu")];
  /** What is asked for in turn. */
  const inTurn = (numbers: readonly number[]) => {
    const left = [...numbers];
    return () => Promise.resolve(left.shift() ?? assert.fail("asked once more than there are devices"));
  };

  it("takes the one with the shortest run, whichever comes first, and says what it measured", async () => {
    for (const [wasm, webgpu, expected] of [
      [4, 0.25, "webgpu"],
      [0.25, 4, "wasm"],
    ] as const) {
      const { name, reason } = await fasterDevice(both, { ...someLayers, time: inTurn([wasm, webgpu]) });
      assert.equal(name, expected);
      assert.equal(
        reason,
        `some layers took ${wasm.toFixed(1)} ms on wasm, some layers took ${webgpu.toFixed(1)} ms on webgpu`,
      );
    }
  });

  it("leaves out one that fails, and says why", async () => {
    const broken = named("webgpu", () => Promise.reject(new Error("no luck")));
    const { name, reason } = await fasterDevice([broken, named("wasm")], { ...someLayers, time: inTurn([2]) });
    assert.equal(name, "wasm");
    assert.equal(reason, "webgpu failed (no luck), some layers took 2.0 ms on wasm");
  });

  /** Work of so much arithmetic, so many bytes and steps. */
  const work = (flops: number, bytes: number, steps: number, time: Workload["time"]): Workload => ({
    what: "a step",
    estimate: (_, rates) => Promise.resolve(flops / rates.flops + bytes / rates.bytes + steps * rates.step),
    time,
  });
  /** A CPU that begins at once, and a GPU that is ten times as fast once it has begun. */
  const rates = [
    { flops: 50e6, bytes: 10e6, step: 0.002 },
    { flops: 500e6, bytes: 100e6, step: 0.02 },
  ] as const;
  const fakeRates = () => {
    const left = [...rates];
    return () => Promise.resolve(left.shift() ?? assert.fail("rates are measured once a device"));
  };
  const never = () => assert.fail("what is clear isn't timed");

  it("decides for the work at hand from the rates of devices: small work for the one that begins at once, large for the other", async () => {
    const small = await fasterDevice(both, work(1e6, 1e5, 300, never), fakeRates());
    assert.deepEqual(small, {
      name: "wasm",
      reason: "a step would take about 0.63 ms on wasm, a step would take about 6.0 ms on webgpu",
    });
    const large = await fasterDevice(both, work(10e9, 1e9, 300, never), fakeRates());
    assert.deepEqual(large, {
      name: "webgpu",
      reason: "a step would take about 301 ms on wasm, a step would take about 36 ms on webgpu",
    });
  });

  it("times the work itself where estimates are within a factor of two, and not otherwise", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 100 })),
        fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 100 })),
        async (estimates, times) => {
          const next = inTurn(estimates);
          const timed: number[] = [];
          const { name } = await fasterDevice(
            both,
            {
              what: "a step",
              estimate: () => next(),
              time: () => Promise.resolve(at(times, timed.push(0) - 1)),
            },
            () => Promise.resolve(rates[0]),
          );
          const isClose = Math.max(...estimates) <= 2 * Math.min(...estimates);
          assert.equal(timed.length, isClose ? 2 : 0);
          const [wasm, webgpu] = isClose ? times : estimates;
          assert.equal(name, webgpu < wasm ? "webgpu" : "wasm");
        },
      ),
      { numRuns: 30 },
    );
  });

  it("takes the other one if what is close fails when it is tried", async () => {
    let calls = 0;
    const time = () => (calls++ === 0 ? Promise.resolve(5) : Promise.reject(new Error("out of memory")));
    const { name, reason } = await fasterDevice(both, work(1e9, 0, 1000, time), () => Promise.resolve(rates[0]));
    assert.deepEqual([name, reason], ["wasm", "a step took 5.0 ms on wasm, webgpu failed (out of memory)"]);
  });
});
