import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeGrants } from "../../cli/commands/devices.ts";
import { evenkeel } from "./train/tinyRun.ts";

describe("evenkeel devices", () => {
  it("says in words what a WebGPU adapter grants", () => {
    const limits = {
      maxComputeWorkgroupStorageSize: 32_768,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
      maxComputeWorkgroupSizeY: 512,
      maxComputeWorkgroupsPerDimension: 65_535,
      maxStorageBuffersPerShaderStage: 10,
      maxStorageBufferBindingSize: 2 ** 31 - 4,
      maxBufferSize: 2 ** 32,
    };
    const adapter = { name: "a card", isSoftware: false, limits, features: ["timestamp-query", "shader-f16"] };
    assert.deepEqual(describeGrants(adapter), [
      "workgroups of 1024 invocations, at most 1024 x 512, with 32 KiB of their own; 65535 of them in each dimension",
      "10 arrays a kernel, 2.0 GiB of each, buffers of 4 GiB",
      "features: timestamp-query, shader-f16",
    ]);
    assert.equal(describeGrants({ ...adapter, features: [] }).at(-1), "features: none of those asked for");
  });

  it("refuses a setting that is none as it does a command line that isn't understood", async () => {
    const before = process.env["EVENKEEL_WEBGPU"];
    process.env["EVENKEEL_WEBGPU"] = "genrated";
    try {
      const { code, err } = await evenkeel(["devices"]);
      assert.equal(code, 2);
      assert.equal(err, 'evenkeel: EVENKEEL_WEBGPU is "genrated". Expected own or generated.\n');
    } finally {
      if (before === undefined) delete process.env["EVENKEEL_WEBGPU"];
      else process.env["EVENKEEL_WEBGPU"] = before;
    }
  });

  it("says nothing of devices without WebGPU", () => {
    assert.deepEqual(describeGrants(null), []);
    assert.deepEqual(describeGrants({ name: "WebGL", isSoftware: true, limits: {}, features: [] }), []);
  });
});
