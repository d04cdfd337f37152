/** What a training step asks of WebGPU, once its programs are made. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { networkConfig } from "../../../diffusion/network/index.ts";
import { type BegunStep, type StepStatistics, Trainer } from "../../../diffusion/training/index.ts";
import { createDevice } from "../../../engine/index.ts";
import { countGpuCalls } from "../../support/countGpuCalls.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { smallBatch, smallOptions } from "./smallRun.ts";

const unet = { ...smallOptions.network.unet, channelMult: [1], attnResolutions: [] };
const options = { ...smallOptions, network: networkConfig({ unet, logvarChannels: 8 }), emaSigmaRels: [0.1] };

/** What is said of a step whose images, noise and weights are the same. */
const isNear = (got: StepStatistics, wanted: StepStatistics): void =>
  assert.ok(Math.abs(got.loss - wanted.loss) < 1e-4 * Math.abs(wanted.loss), `${got.loss} for ${wanted.loss}`);

it("a step is one submit with one upload, its report one readback for as many steps as are begun", {
  skip: webgpuSkip,
}, async () => {
  const [device, cpu] = [await createDevice("webgpu"), await createDevice("wasm", { wasm: { threads: 1 } })];
  const [trainer, other] = [await Trainer.create(options, device), await Trainer.create(options, cpu)];
  try {
    const step = (): Promise<StepStatistics> => trainer.step(smallBatch(trainer.nimg, 8));
    const expected: StepStatistics[] = [];
    for (let i = 0; i < 8; i++) expected.push(await other.step(smallBatch(other.nimg, 8)));
    const told = [await step(), await step()];
    const count = await countGpuCalls();
    told.push(await step());
    assert.deepEqual(count(), { submits: 2, uploads: 1, readbacks: 1, pipelines: 0 });
    const begun: BegunStep[] = [];
    for (let i = 0; i < 5; i++) {
      begun.push(await trainer.begin(smallBatch(trainer.nimg, 8)));
      assert.deepEqual(count(), { submits: 1, uploads: 1, readbacks: 0, pipelines: 0 });
    }
    for (const each of begun) told.push(await each.report());
    assert.deepEqual(count(), { submits: 1, uploads: 0, readbacks: 1, pipelines: 0 });
    told.forEach((each, i) => isNear(each, expected[i] as StepStatistics));
  } finally {
    trainer.dispose();
    other.dispose();
    device.dispose();
    cpu.dispose();
  }
});
