/** What devices say of themselves as data, and that it is what they say in words. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDevice, type Device } from "../../../engine/index.ts";
import { probeWebgpu } from "../../../engine/devices/gpujs/adapterSelection.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const traitsOf = async (make: () => Promise<Device>): Promise<Pick<Device, "traits" | "description">> => {
  const device = await make();
  device.dispose();
  return { traits: device.traits, description: device.description };
};

describe("traits", () => {
  for (const threads of [1, 3]) {
    for (const relaxed of [false, true]) {
      it(`of wasm on ${threads} threads${relaxed ? ", relaxed" : ""}`, async () => {
        const { traits, description } = await traitsOf(() => createDevice("wasm", { wasm: { threads, relaxed } }));
        assert.deepEqual(traits, { adapter: null, threads, fusedMultiplyAdd: relaxed });
        assert.equal(/fused multiply-add/.test(description), relaxed);
        assert.match(description, new RegExp(`, ${threads} thread`));
      });
    }
  }

  for (const name of ["oracle", "cpu"] as const) {
    it(`of ${name}`, async () => {
      const { traits } = await traitsOf(() => createDevice(name));
      assert.deepEqual(traits, { adapter: null, threads: 1, fusedMultiplyAdd: false });
    });
  }

  it("of webgpu", { skip: webgpuSkip }, async () => {
    const probe = await probeWebgpu();
    const { traits, description } = await traitsOf(() => createDevice("webgpu"));
    assert.deepEqual([traits.threads, traits.fusedMultiplyAdd], [1, null]);
    assert.ok(traits.adapter !== null && traits.adapter.name !== "");
    assert.equal(traits.adapter.isSoftware, probe.software);
    assert.ok(description.includes(traits.adapter.name));
    assert.equal(description.endsWith(", software"), probe.software);
    const { limits, features } = traits.adapter;
    // What WebGPU promises of every adapter, where that is less than the largest number.
    assert.ok((limits["maxStorageBuffersPerShaderStage"] ?? 0) >= 8);
    assert.ok((limits["maxComputeWorkgroupStorageSize"] ?? 0) >= 16_384);
    assert.ok((limits["maxComputeInvocationsPerWorkgroup"] ?? 0) >= 128);
    assert.ok(Object.values(limits).every(Number.isInteger));
    assert.ok(features.every((feature) => ["timestamp-query", "subgroups", "shader-f16"].includes(feature)));
  });
});
