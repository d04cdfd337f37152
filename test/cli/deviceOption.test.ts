import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { describeDevice } from "../../cli/deviceOption.ts";
import { defaultSettings, trainSettings } from "../../cli/train/settings.ts";
import { createDevice, type Device } from "../../engine/index.ts";

afterEach(() => delete process.env["EVENKEEL_DEVICE"]);

test("where a command computes is told with the reason: the default, the environment, or what auto found", async () => {
  const oracle = await createDevice("oracle");
  const gpu: Pick<Device, "name" | "description"> = { name: "webgpu", description: "WebGPU" };
  const told = (wanted?: string, device: Device = oracle): string =>
    describeDevice(device, wanted).replace(device.description, "");
  assert.equal(told("oracle"), "");
  assert.match(told(), /^ \(the default; --device auto takes a GPU if there is one\)$/);
  assert.equal(told("auto"), " (auto found no GPU)");
  assert.equal(told("auto", gpu as Device), " (auto found a GPU)");
  process.env["EVENKEEL_DEVICE"] = "oracle";
  assert.equal(told(), " (as EVENKEEL_DEVICE says)");
  assert.equal(told("oracle"), "");
  process.env["EVENKEEL_DEVICE"] = "auto";
  assert.equal(told(), " (as EVENKEEL_DEVICE says; auto found no GPU)");
  process.env["EVENKEEL_DEVICE"] = "";
  assert.match(told(), /the default/);
  oracle.dispose();
});

test("settings of training leave the device to what holds for every command", () => {
  assert.ok(trainSettings.shape.device.safeParse(undefined).success);
  assert.ok(!("device" in defaultSettings(1000, 8)));
});
