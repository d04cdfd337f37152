/** Random programs as PyTorch computes what is exported of them, against the oracle. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { accuracies, checkPrograms } from "../../testing/index.ts";
import { skip } from "./pytorch.ts";
import { TorchDevice } from "./torchDevice.ts";

/** Fixed, so that a change fails by what it changes. `npm run test:seeds` looks for more. */
const seed = Number(process.env["EVENKEEL_SEED"] ?? 20240612);
/** They show with probability 95% a fault that one program in 200 meets. */
const runs = 600;

describe("exported programs", () => {
  it("give in PyTorch what the oracle gives, within what float32 allows", { skip }, async () => {
    const device = new TorchDevice();
    try {
      // PyTorch's elementary functions are as good as those of wasm.
      const { compared, uncertain } = await checkPrograms(device, { runs, seed, accuracy: accuracies.wasm });
      // A law that leaves most elements out, or compares few, would prove little.
      assert.ok(compared > 20 * runs, `only ${compared} elements were compared`);
      assert.ok(uncertain < 0.5 * (compared + uncertain), `${uncertain} beside ${compared} elements were uncertain`);
    } finally {
      device.dispose();
    }
  });
});
