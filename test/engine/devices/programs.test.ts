import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeviceName } from "../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../engine/devices/gpujs/webgpuDevice.ts";
import { createWasmDevice } from "../../../engine/devices/wasm/device.ts";
import { createDevice } from "../../../engine/index.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { checkPrograms } from "../../../testing/laws/programLaw.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

/** Another seed every time would find more over the years and fail on an unrelated day: the seed is fixed, overridable. */
const seed = Number(process.env["EVENKEEL_SEED"] ?? 20240612);

/**
 * n programs show with probability 95% a fault that one program in n / 3 meets: on wasm, with 200 on one thread, one in 230, on cpu one
 * in 100, on webgpu, where a program takes longest, one in 66, and in the form that gpu.js generates one in 20. `npm run test:seeds` runs
 * others.
 */
const runs: { readonly [K in DeviceName]?: number } = { oracle: 200, wasm: 500, cpu: 300, webgpu: 200 };

describe("random programs agree with the oracle within float32 error", () => {
  for (const [name, count] of Object.entries(runs) as [DeviceName, number][]) {
    it(`${count} programs on ${name}`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await createDevice(name);
      try {
        const before = device.memory();
        const { compared, uncertain } = await checkPrograms(device, { runs: count, seed, accuracy: accuracies[name] });
        assert.deepEqual(device.memory(), before, "programs left memory behind");
        // A law that leaves most elements out, or compares few, would prove little.
        assert.ok(compared > 20 * count, `only ${compared} elements were compared`);
        assert.ok(
          uncertain < 0.5 * (compared + uncertain),
          `${uncertain} of ${compared + uncertain} elements were uncertain`,
        );
      } finally {
        device.dispose();
      }
    });
  }

  it("60 programs on webgpu with generated kernels", { skip: webgpuSkip }, async () => {
    const device = await createWebgpuDevice({ kernels: "generated" });
    await checkPrograms(device, { runs: 60, seed: seed + 2, accuracy: accuracies.webgpu });
    device.dispose();
  });

  it("200 programs on wasm with one thread", async () => {
    const device = await createWasmDevice({ threads: 1 });
    await checkPrograms(device, { runs: 200, seed: seed + 1, accuracy: accuracies.wasm });
    device.dispose();
  });
});
