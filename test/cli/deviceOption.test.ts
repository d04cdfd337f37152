import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { describeDevice } from "../../cli/deviceOption.ts";
import { defaultSettings, trainSettings } from "../../diffusion/settings/index.ts";
import { chooseAutomatically, createDevice } from "../../engine/index.ts";

afterEach(() => delete process.env["EVENKEEL_DEVICE"]);

test("where a command computes is told with the reason: the default, the environment, or why auto chose it", async () => {
  const oracle = await createDevice("oracle");
  const told = async (wanted?: string): Promise<string> =>
    (await describeDevice(oracle, wanted)).replace(oracle.description, "");
  const { reason } = await chooseAutomatically();
  assert.match(reason, /^(there is no GPU|some layers took .* ms on wasm, .*webgpu)/);
  assert.equal(await told("oracle"), "");
  assert.equal(await told(), " (the default; --device auto takes a GPU if one is faster)");
  assert.equal(await told("auto"), ` (auto: ${reason})`);
  const own = await describeDevice(oracle, "auto", { name: "wasm", reason: "a step took 2 ms" });
  assert.equal(own, `${oracle.description} (auto: a step took 2 ms)`);
  process.env["EVENKEEL_DEVICE"] = "oracle";
  assert.equal(await told(), " (as EVENKEEL_DEVICE says)");
  assert.equal(await told("oracle"), "");
  process.env["EVENKEEL_DEVICE"] = "wasm";
  assert.match(await told("oracle"), /own settings say; EVENKEEL_DEVICE, which says wasm, isn't asked then/);
  process.env["EVENKEEL_DEVICE"] = "auto";
  assert.equal(await told(), ` (as EVENKEEL_DEVICE says; auto: ${reason})`);
  process.env["EVENKEEL_DEVICE"] = "";
  assert.match(await told(), /the default/);
  oracle.dispose();
});

test("settings of training leave the device to what holds for every command", () => {
  assert.ok(trainSettings.shape.device.safeParse(undefined).success);
  assert.ok(!("device" in defaultSettings(1000, 8)));
});
