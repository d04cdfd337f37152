/** Targets, noise and schedules as settings of a run: defaults that change nothing, and what a run that goes on is held to. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { readChange } from "../../../cli/compare/changes.ts";
import { planSettings } from "../../../cli/train/merge.ts";
import { createDataset } from "../../../diffusion/data/index.ts";
import { runTraining } from "../../../diffusion/run/index.ts";
import { completePlan, runOptions, trainingOptions } from "../../../diffusion/settings/index.ts";
import { findStoredSnapshot } from "../../../diffusion/snapshot/index.ts";
import { createDevice, type Device, EvenkeelError } from "../../../engine/index.ts";
import { memoryFolder } from "../../../engine/io/index.ts";

const pixels = Uint8Array.from({ length: 4 * 16 }, (_, i) => (37 * i) % 256);
const dataset = createDataset({ name: "spots", channels: 1, resolution: 4, pixels });
const small = { preset: "smoke", data: "spots", "channel-mult": [1], duration: 64, samples: 0, rampup: 0 };
const plan = (values: object) => completePlan([{ from: "here", values: { ...small, ...values } }]);

describe("questions as settings", () => {
  let device: Device;
  before(async () => {
    device = await createDevice("wasm", { wasm: { threads: 1 } });
  });
  after(() => device.dispose());

  const run = async (values: object, folder = memoryFolder("run")) => {
    const settings = plan(values);
    const training = trainingOptions(settings, dataset);
    const result = await runTraining(runOptions(settings, { dataset, images: dataset }, training, { folder, device }));
    return { folder, result };
  };

  it("say nothing of themselves where they are as ever, so that checkpoints of before are gone on from", () => {
    const { noise, learningRate, network } = trainingOptions(plan({}), dataset);
    assert.deepEqual(Object.keys(noise), ["mean", "standardDeviation"]);
    assert.deepEqual(Object.keys(learningRate), ["reference", "referenceBatches", "rampUpMimg"]);
    assert.deepEqual([network.target, network.noiseDf], ["v", 0]);
    const asked = { noise: "infonoise", "noise-df": 5, target: "x", schedule: "linear" };
    const all = trainingOptions(plan(asked), dataset);
    assert.equal(all.noise.kind, "infonoise");
    assert.deepEqual([all.learningRate.schedule, all.learningRate.duration], ["linear", 64]);
    assert.deepEqual([all.network.target, all.network.noiseDf], ["x", 5]);
    assert.equal(trainingOptions(plan({ schedule: "constant" }), dataset).learningRate.duration, undefined);
  });

  it("are known to the command line and to comparisons, but for other noise, which is another task", async () => {
    const flags = { preset: "smoke", data: "spots", noiseDf: 3, target: "eps", schedule: "cosine", noise: "infonoise" };
    const { "noise-df": noiseDf, target } = await planSettings(flags, undefined);
    assert.deepEqual([noiseDf, target], [3, "eps"]);
    assert.deepEqual((await readChange("target=x,schedule=cosine,noise=infonoise")).values, {
      target: "x",
      schedule: "cosine",
      noise: "infonoise",
    });
    await assert.rejects(readChange("noise-df=5"), /sets noise-df: held-out errors are those of the noise/);
  });

  it("go into snapshots, by which every reader samples and measures", async () => {
    const { folder } = await run({ target: "eps", "noise-df": 4 });
    const name = (await folder.list()).find((each) => each.startsWith("network-snapshot")) ?? "";
    const { network } = await findStoredSnapshot(folder.file(name));
    assert.deepEqual([network.target, network.noiseDf], ["eps", 4]);
  });

  it("hold a run that goes on: to its end, if its rate ends, and to what it is asked", async () => {
    const refused = (words: RegExp) => (error: unknown) =>
      error instanceof EvenkeelError && error.code === "value" && words.test(error.message);
    const cosine = await run({ schedule: "cosine" });
    await assert.rejects(
      run({ schedule: "cosine", duration: 128 }, cosine.folder),
      refused(/training\.learningRate\.duration was 64, now 128.*choose another folder/),
    );
    const open = await run({ schedule: "constant" });
    assert.deepEqual((await run({ schedule: "constant", duration: 128 }, open.folder)).result, {
      nimg: 128,
      finished: true,
    });
    const usual = await run({});
    await assert.rejects(run({ noise: "infonoise" }, usual.folder), refused(/training\.noise\.kind was unset/));
    await assert.rejects(run({ target: "x" }, usual.folder), refused(/training\.network\.target was "v", now "x"/));
  });
});
