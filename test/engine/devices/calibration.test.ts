import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { calibrate, fasterDevice } from "../../../engine/devices/calibration.ts";
import type { KernelDevice } from "../../../engine/devices/device.ts";
import { createDevice } from "../../../engine/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

describe("choice of the faster device", () => {
  for (const name of ["wasm", "webgpu"] as const) {
    it(`measures ${name} and leaves nothing on it`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await createDevice(name);
      const before = device.memory();
      const milliseconds = await calibrate(device, 1);
      assert.ok(milliseconds > 0 && Number.isFinite(milliseconds));
      assert.deepEqual(device.memory(), before);
      device.dispose();
    });
  }

  const one = (): Promise<KernelDevice> => createDevice("wasm", { wasm: { threads: 1 } });

  it("takes the one with the shortest run, whichever comes first, and says what it measured", async () => {
    for (const [wasm, webgpu, expected] of [
      [4, 0.25, "webgpu"],
      [0.25, 4, "wasm"],
    ] as const) {
      const times = [wasm, webgpu];
      const { name, reason } = await fasterDevice(
        [
          { name: "wasm", make: one },
          { name: "webgpu", make: one },
        ],
        () => Promise.resolve(times.shift() ?? NaN),
      );
      assert.equal(name, expected);
      assert.equal(
        reason,
        `some layers took ${wasm.toFixed(1)} ms on wasm, some layers took ${webgpu.toFixed(1)} ms on webgpu`,
      );
    }
  });

  it("leaves out one that fails, and says why", async () => {
    const { name, reason } = await fasterDevice(
      [
        { name: "webgpu", make: () => Promise.reject(new Error("no luck")) },
        { name: "wasm", make: one },
      ],
      () => Promise.resolve(2),
    );
    assert.equal(name, "wasm");
    assert.equal(reason, "webgpu failed (no luck), some layers took 2.0 ms on wasm");
  });
});
