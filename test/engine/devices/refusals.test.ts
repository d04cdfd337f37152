/** Every device refuses the same mistakes with the same error codes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Device } from "../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../engine/devices/wasm/device.ts";
import { createDevice } from "../../../engine/index.ts";
import { ReferenceDevice } from "../../support/referenceDevice.ts";
import { findUnrefused, mistakeNames } from "../../support/refusalLaw.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const seed = Number(process.env["EVENKEEL_SEED"] ?? 20240612);

const subjects: readonly { readonly what: string; readonly make: () => Promise<Device>; readonly runs: number }[] = [
  { what: "oracle", make: () => createDevice("oracle"), runs: 20 },
  { what: "wasm", make: () => createDevice("wasm"), runs: 20 },
  { what: "wasm on three threads", make: () => createWasmDevice({ threads: 3, sharedCost: 0 }), runs: 5 },
  { what: "cpu", make: () => createDevice("cpu"), runs: 5 },
  { what: "webgpu", make: () => createDevice("webgpu"), runs: 1 },
];

describe("mistakes are refused with the same codes, and change nothing", () => {
  for (const { what, make, runs } of subjects) {
    it(what, { skip: what === "webgpu" && webgpuSkip }, async () => {
      const [device, other] = [await make(), await make()];
      try {
        assert.deepEqual(await findUnrefused(device, other, { runs, seed }), []);
      } finally {
        device.dispose();
        other.dispose();
      }
    });
  }

  it("the law notices each mistake that a device lets through", async () => {
    const found = await findUnrefused(new ReferenceDevice("arena"), new ReferenceDevice("arena"), { runs: 3, seed });
    const unnoticed = mistakeNames.filter((name) => !found.some((failure) => failure.startsWith(`${name}: `)));
    assert.deepEqual(unnoticed, []);
  });
});
