/** Random programs as PyTorch computes what is exported of them, against the oracle. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { accuracies, checkPrograms } from "../../testing/index.ts";
import { skip } from "./pytorch.ts";
import { TorchDevice } from "./torchDevice.ts";

describe("exported programs", () => {
  it("give in PyTorch what the oracle gives, within what float32 allows", { skip }, async () => {
    const device = new TorchDevice();
    try {
      const { compared, uncertain } = await checkPrograms(device, {
        runs: Number(process.env["RUNS"] ?? 600),
        seed: Number(process.env["SEED"] ?? 20),
        accuracy: accuracies.wasm,
      });
      // One that skips everything proves nothing.
      assert.ok(compared > 2 * uncertain, `${compared} elements compared, ${uncertain} left open`);
    } finally {
      device.dispose();
    }
  });
});
