import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readRawNetwork, writeCheckpoint } from "../../../diffusion/checkpoint/index.ts";
import { networkConfig } from "../../../diffusion/network/index.ts";
import { Trainer } from "../../../diffusion/training/index.ts";
import { getDevice, type Tensor } from "../../../engine/index.ts";
import { memoryFolder } from "../../../engine/io/index.ts";
import { smallBatch, smallNetwork, smallOptions } from "../training/smallRun.ts";

describe("readRawNetwork", () => {
  it("gives the raw weights of the newest checkpoint", async () => {
    const trainer = await Trainer.create(smallOptions, await getDevice("wasm"));
    const folder = memoryFolder("run");
    assert.equal(await readRawNetwork(folder, smallNetwork), null);
    const numbers = async (named: Iterable<readonly [string, Tensor]>): Promise<Record<string, number[]>> => {
      const read: Record<string, number[]> = {};
      for (const [name, each] of named) read[name] = Array.from((await each.data()) as Float32Array);
      return read;
    };
    for (const nimg of [8, 16]) {
      await trainer.step(smallBatch(nimg - 8, 8));
      await writeCheckpoint(folder, { nimg, fixed: {}, progress: {} }, await trainer.readState());
      const raw = await readRawNetwork(folder, smallNetwork);
      assert.ok(raw !== null, "there is a checkpoint");
      assert.equal(raw.nimg, nimg);
      // In the order of the network's description, too: a denoiser's state has that.
      const expected = await trainer.readNetwork("raw");
      assert.deepEqual(Object.keys(raw.weights), [...expected.keys()]);
      assert.deepEqual(await numbers(Object.entries(raw.weights)), await numbers(expected));
    }
    const { unet } = smallNetwork;
    const wider = networkConfig({ ...smallNetwork, unet: { ...unet, modelChannels: 8 } });
    await assert.rejects(readRawNetwork(folder, wider), { code: "shape", message: /training-state-0000000016/ });
    trainer.dispose();
  });
});
