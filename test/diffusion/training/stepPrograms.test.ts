import assert from "node:assert/strict";
import { it } from "node:test";
import { Trainer } from "../../../diffusion/training/index.ts";
import { createDevice } from "../../../engine/index.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";
import { smallBatch, smallOptions } from "./smallRun.ts";

it("training compiles nothing after its first step and runs nothing but its step, whole or in parts", async () => {
  const inner = await createDevice("wasm", { wasm: { threads: 1 } });
  try {
    for (const parts of [1, 2]) {
      const device = scheduledDevice(inner, () => Promise.resolve());
      const trainer = await Trainer.create({ ...smallOptions, batchDevice: smallOptions.batch / parts }, device);
      await trainer.step(smallBatch(0, 8));
      const { compiled } = device;
      for (let step = 1; step < 3; step++) {
        const before = device.started;
        await trainer.step(smallBatch(8 * step, 8));
        assert.equal(device.compiled, compiled);
        // In parts the gradients are added up, then applied.
        assert.equal(device.started - before, parts === 1 ? 1 : parts + 1);
      }
      trainer.dispose();
      assert.deepEqual([device.held, device.violations], [0, []]);
    }
  } finally {
    inner.dispose();
  }
});
