/** What a trainer fetches from its device, and how often it waits for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Trainer } from "../../../diffusion/index.ts";
import { createDevice, type Tensor } from "../../../engine/index.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";
import { smallBatch, smallOptions } from "./smallRun.ts";

const bytesOf = (arrays: ReadonlyMap<string, Tensor>, isWanted = (_name: string): boolean => true): number =>
  [...arrays].reduce((sum, [name, { size }]) => sum + (isWanted(name) ? 4 * size : 0), 0);

for (const batchDevice of [8, 4]) {
  test(`a step waits for the device once, in parts of ${batchDevice}, and a network is read without the rest`, async () => {
    const inner = await createDevice("wasm", { wasm: { threads: 1 } });
    const device = scheduledDevice(inner, () => Promise.resolve());
    const trainer = await Trainer.create({ ...smallOptions, batchDevice }, device);
    /** The bytes of each download since the last time. */
    const fetched = (): number[] => device.downloads.splice(0);
    fetched();
    for (let i = 0; i < 2; i++) {
      await trainer.step(smallBatch(trainer.nimg, 8));
      // Losses, errors and noise levels; the gradient's norm and how many of its numbers aren't finite.
      assert.deepEqual(fetched(), [4 * (3 * 8 + 2)]);
    }
    const all = await trainer.readState();
    assert.deepEqual(fetched(), [bytesOf(all)]);
    const one = await trainer.readNetwork(1);
    const bytes = bytesOf(all, (name) => /^(averages\[1\]|buffers)\./.test(name));
    assert.deepEqual([fetched(), bytesOf(one)], [[bytes], bytes]);
    await trainer.readNetwork("raw");
    assert.deepEqual(fetched(), [bytes]);
    await assert.rejects(trainer.readNetwork(2), { code: "range" });
    assert.deepEqual(fetched(), []);
    for (const [name, array] of one) {
      const stored = all.get(`averages[1].${name}`) ?? all.get(`buffers.${name}`);
      assert.deepEqual(await array.data(), await stored?.data());
    }
    trainer.dispose();
    inner.dispose();
  });
}
