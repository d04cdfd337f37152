import assert from "node:assert/strict";
import { test } from "node:test";
import { arithmeticOf, changeOfArithmetic } from "../../../diffusion/run/arithmetic.ts";
import type { Device, DeviceName } from "../../../engine/index.ts";

const deviceOf = (name: DeviceName, traits: Partial<Device["traits"]> = {}): Device =>
  ({ name, traits: { adapter: null, threads: 1, fusedMultiplyAdd: false, ...traits } }) as Device;
const gpu = (name: string, isSoftware = false): Device => {
  return deviceOf("webgpu", { adapter: { name, isSoftware, limits: {}, features: [] }, fusedMultiplyAdd: null });
};

test("a checkpoint tells a change of what numbers depend on, and of nothing else", () => {
  const devices = [
    deviceOf("wasm"),
    deviceOf("wasm", { fusedMultiplyAdd: true }),
    deviceOf("cpu"),
    gpu("nvidia ada-lovelace"),
    gpu("amd rdna-3"),
  ];
  for (const [i, before] of devices.entries()) {
    // As it is in the file.
    const kept: unknown = JSON.parse(JSON.stringify(arithmeticOf(before)));
    for (const [j, after] of devices.entries()) {
      const change = changeOfArithmetic(kept, after);
      if (i === j) assert.equal(change, null);
      else assert.match(change ?? "", /^This run was on .+ before and goes on on .+: its numbers differ by rounding/);
      assert.equal(changeOfArithmetic(kept, { ...after, traits: { ...after.traits, threads: 8 } }), change);
    }
  }
  assert.match(
    changeOfArithmetic(arithmeticOf(gpu("amd rdna-3")), deviceOf("wasm", { fusedMultiplyAdd: true })) ?? "",
    /was on webgpu \(amd rdna-3\) before and goes on on wasm with fused multiply-add:/,
  );
});

test("where a checkpoint doesn't tell of its device, as earlier ones in other words, it is said that its numbers may differ", () => {
  for (const kept of [undefined, null, "wasm (WebAssembly SIMD)", 3, {}, { device: "oracle" }]) {
    const change = changeOfArithmetic(kept, deviceOf("wasm", { fusedMultiplyAdd: true })) ?? "";
    assert.match(
      change,
      /isn't told by its checkpoint.* goes on on wasm with fused multiply-add: if .* differ by rounding/,
    );
  }
});
