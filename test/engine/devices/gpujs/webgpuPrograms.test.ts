/** The cases of the browser tests, on WebGPU in Node. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { cases } from "../../../browser/cases.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";

describe("programs on webgpu", { skip: webgpuSkip }, async () => {
  if (webgpuSkip !== false) return;
  const device = await createWebgpuDevice();
  after(() => device.dispose());

  for (const [name, count] of [
    ["gradientDescent", 50],
    ["randomBits", 1],
  ] as const) {
    test(name, async () => {
      const { ran, failures } = await cases[name](device, 7, count);
      assert.deepEqual(failures, []);
      assert.ok(ran > 0);
      // Compiled functions are disposed of in their device's turn.
      await new Promise((done) => setImmediate(done));
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    });
  }
});
