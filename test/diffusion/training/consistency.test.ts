/** Networks that are tuned to be consistent: by the trainer, in runs that begin with another's weights. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { networkConfig, type NetworkConfig } from "../../../diffusion/network/index.ts";
import { findStartWeights } from "../../../diffusion/run/node.ts";
import { type RunOptions, runTraining } from "../../../diffusion/run/index.ts";
import { createDataset } from "../../../diffusion/data/index.ts";
import { completePlan, completeSettings, runOptions, trainingOptions } from "../../../diffusion/settings/index.ts";
import { writeSnapshot } from "../../../diffusion/snapshot/node.ts";
import { checkTrainingOptions, Trainer, type TrainingOptions } from "../../../diffusion/training/index.ts";
import { createDevice, type Device, type Tensor } from "../../../engine/index.ts";
import { memoryFolder } from "../../../engine/io/index.ts";
import { smallBatch, smallOptions } from "./smallRun.ts";

const network = networkConfig({
  unet: { ...smallOptions.network.unet, channelMult: [1], attnResolutions: [], dropout: 0.2 },
  logvarChannels: 8,
});
const options: TrainingOptions = {
  ...smallOptions,
  network,
  batch: 4,
  batchDevice: 4,
  emaSigmaRels: [0.1],
  consistency: { stage: 8, factor: 2 },
};

let device: Device;
let root = "";
/** What the tunings begin with: a network that was trained for some steps. */
let start: Record<string, Tensor>;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-consistency-"));
  device = await createDevice("wasm", { wasm: { threads: 1 } });
  const { consistency: _, ...denoising } = options;
  const teacher = await Trainer.create(denoising, device);
  for (let i = 0; i < 8; i++) await teacher.step(smallBatch(teacher.nimg, 4));
  start = Object.fromEntries(await teacher.readNetwork("raw"));
  teacher.dispose();
});
after(async () => {
  device.dispose();
  await rm(root, { recursive: true });
});

async function bits(arrays: ReadonlyMap<string, Tensor>): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const [name, tensor] of arrays) {
    const data = await tensor.data();
    result[name] = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
  }
  return result;
}

/** A tuning of six steps, in three stages, from `start`. */
async function tuned(changes: Partial<TrainingOptions> = {}): Promise<Trainer> {
  const trainer = await Trainer.create({ ...options, ...changes }, device, undefined, start);
  while (trainer.nimg < 24) await trainer.step(smallBatch(trainer.nimg, 4));
  return trainer;
}

describe("a trainer of consistency", () => {
  it("begins with the weights that it is given, in its averages, too", async () => {
    const trainer = await Trainer.create(options, device, undefined, start);
    const expected = await bits(new Map(Object.entries(start)));
    for (const profile of ["raw", 0] as const) {
      assert.deepEqual(await bits(await trainer.readNetwork(profile)), expected);
    }
    trainer.dispose();
  });

  it("goes on with the same bits from a saved state, whatever the stage", async () => {
    const whole = await tuned();
    const first = await Trainer.create(options, device, undefined, start);
    for (let i = 0; i < 3; i++) await first.step(smallBatch(first.nimg, 4));
    const second = await Trainer.create(options, device);
    await second.writeState(first.nimg, await first.readState());
    while (second.nimg < 24) await second.step(smallBatch(second.nimg, 4));
    assert.deepEqual(await bits(await second.readState()), await bits(await whole.readState()));
    for (const trainer of [whole, first, second]) trainer.dispose();
  });

  it("computes the same in parts of a batch, but for rounding, and learns other weights than a denoiser", async () => {
    const [whole, parts] = [
      await Trainer.create(options, device, undefined, start),
      await Trainer.create({ ...options, batchDevice: 2 }, device, undefined, start),
    ];
    const { consistency: _, ...denoising } = options;
    const denoiser = await Trainer.create(denoising, device, undefined, start);
    const losses: number[] = [];
    for (let i = 0; i < 3; i++) {
      const [one, other] = [await whole.step(smallBatch(4 * i, 4)), await parts.step(smallBatch(4 * i, 4))];
      assert.ok(Math.abs(one.loss - other.loss) <= 1e-4 * one.loss, `${one.loss} ${other.loss}`);
      assert.ok(one.loss > 0);
      losses.push(one.loss, (await denoiser.step(smallBatch(4 * i, 4))).loss);
    }
    assert.notDeepEqual(await bits(await whole.readNetwork("raw")), await bits(await denoiser.readNetwork("raw")));
    assert.equal(new Set(losses).size, 6);
    for (const trainer of [whole, parts, denoiser]) trainer.dispose();
  });

  it("names the layer where a loss isn't finite", async () => {
    const trainer = await Trainer.create(options, device, undefined, start);
    const batch = smallBatch(0, 4);
    batch.images[2 * 192] = Infinity;
    await assert.rejects(trainer.step(batch), { code: "diverged", message: /image 2 at sigma .* it began at images/ });
    trainer.dispose();
  });

  it("refuses stages and factors out of range", () => {
    for (const [consistency, message] of [
      [{ stage: 0, factor: 2 }, /stage of the tuning is 0/],
      [{ stage: 1.5, factor: 2 }, /stage of the tuning is 1\.5/],
      [{ stage: 8, factor: 1 }, /factor of the tuning is 1/],
    ] as const) {
      assert.throws(() => checkTrainingOptions({ ...options, consistency }), { code: "value", message });
    }
  });
});

describe("a run that begins with another network's weights", () => {
  const runOf = (folder: RunOptions["folder"], duration: number, changes: Partial<RunOptions> = {}): RunOptions => ({
    folder,
    training: options,
    duration,
    intervals: { status: 0, snapshot: 0, checkpoint: 8, samples: 0, validation: 0 },
    snapshotDtype: "F32",
    classNames: null,
    device,
    fixed: {},
    nextBatch: smallBatch,
    ...changes,
  });

  it("reads them once, and goes on without them with the same bits", async () => {
    const [whole, parts] = [memoryFolder("whole"), memoryFolder("parts")];
    let reads = 0;
    const given = async (): Promise<Record<string, Tensor>> => {
      reads++;
      return start;
    };
    const gone = async (): Promise<never> => Promise.reject(new Error("the network is gone"));
    await runTraining(runOf(whole, 24, { start: given }));
    await runTraining(runOf(parts, 12, { start: given }));
    await runTraining(runOf(parts, 24, { start: gone }));
    assert.equal(reads, 2);
    const last = "training-state-0000000024.safetensors";
    const bytes = async (folder: RunOptions["folder"]): Promise<string> => {
      const stored = await folder.file(last).open();
      const all = Buffer.from(await stored.read(0, stored.size)).toString("hex");
      await stored.close();
      return all;
    };
    assert.equal(await bytes(parts), await bytes(whole));
    const drawn = memoryFolder("drawn");
    await runTraining(runOf(drawn, 24));
    assert.notEqual(await bytes(drawn), await bytes(whole));
  });

  it("finds them in a file, or in the folder of a finished run", async () => {
    const startWeights = async (path: string, of: NetworkConfig) => (await findStartWeights(path)).read(of);
    const info = { network, nimg: 2000, sigmaRel: 0.1, classNames: null };
    const arrays = new Map(Object.entries(start));
    const file = join(root, "network-snapshot-0000002-0.100.safetensors");
    await writeSnapshot(file, info, arrays, "F32");
    assert.deepEqual(await bits(new Map(Object.entries(await startWeights(file, network)))), await bits(arrays));
    // Dropout and the format of activations are the run's own.
    const free = { ...network, unet: { ...network.unet, dropout: 0, activations: "float16" as const } };
    assert.deepEqual(Object.keys(await startWeights(file, free)), Object.keys(start));
    const other = { ...network, unet: { ...network.unet, resBalance: 0.5 } };
    await assert.rejects(startWeights(file, other), {
      code: "value",
      message: /resBalance of its network is 0\.3, of this run's 0\.5/,
    });
    await assert.rejects(startWeights(root, network), { code: "file", message: /has no post-hoc average/ });
    for (const [kimg, sigmaRel] of [
      [1, 0.1],
      [2, 0.1],
    ] as const) {
      const path = join(root, `phema-000000${kimg}-0.100.safetensors`);
      const zeroed = kimg === 1 ? new Map([...arrays].map(([name, each]) => [name, each.multiply(0)])) : arrays;
      await writeSnapshot(path, { ...info, nimg: 1000 * kimg, sigmaRel }, zeroed, "F32");
    }
    const newest = await startWeights(root, network);
    assert.deepEqual(await bits(new Map(Object.entries(newest))), await bits(arrays));
    await writeSnapshot(join(root, "phema-0000002-0.050.safetensors"), { ...info, sigmaRel: 0.05 }, arrays, "F32");
    await assert.rejects(startWeights(root, network), {
      code: "file",
      message: /several post-hoc averages of 2000/,
    });
    await assert.rejects(startWeights(join(root, "nowhere.safetensors"), network), { code: "file" });
  });
});

describe("settings of a tuning", () => {
  const plan = (values: Record<string, unknown>) =>
    completePlan([{ from: "flags", values: { preset: "smoke", data: "black", ...values } }]);

  it("have a quarter of the preset's images, a tenth of its rate, and eight stages", () => {
    const plain = plan({});
    const { tune, from } = plain;
    assert.deepEqual([tune, from, plain["tune-stage"]], [undefined, undefined, undefined]);
    const student = plan({ tune: "consistency", from: "runs/teacher" });
    assert.deepEqual(
      [student.duration, student.lr, student["tune-stage"], student["tune-factor"]],
      [512, 0.002, 64, 2],
    );
    const longer = plan({ tune: "consistency", duration: 8000, lr: 0.01, "tune-stage": 100, "tune-factor": 4 });
    assert.deepEqual([longer.duration, longer.lr, longer["tune-stage"], longer["tune-factor"]], [8000, 0.01, 100, 4]);
    // A finished run that is made longer keeps its stages: they are in its file.
    const again = completeSettings([
      { from: "settings.toml", values: { ...student, outdir: "runs/student" } },
      { from: "flags", values: { duration: 1024 } },
    ]);
    assert.deepEqual([again.duration, again["tune-stage"]], [1024, 64]);
  });

  it("become options of training, absent where nothing is tuned", async () => {
    const dataset = createDataset({ name: "black", channels: 1, resolution: 4, pixels: new Uint8Array(16) });
    const small = { "channel-mult": [1] };
    assert.equal("consistency" in trainingOptions(plan(small), dataset), false);
    const settings = plan({ ...small, tune: "consistency", from: "runs/teacher" });
    const training = trainingOptions(settings, dataset);
    assert.deepEqual(training.consistency, { stage: 64, factor: 2 });
    // Where no other network can be read, a run that would need it isn't begun with drawn weights.
    const place = { folder: memoryFolder("run"), device };
    const run = runOptions(settings, { dataset, images: dataset }, training, place);
    await assert.rejects(runTraining(run), { code: "value", message: /begins with the weights of runs\/teacher/ });
  });
});
