import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { cotangentScale, type StepStatistics, Trainer } from "../../../diffusion/training/index.ts";
import { createDevice, type Device, tensor, type Tensor } from "../../../engine/index.ts";
import { smallBatch, smallOptions } from "./smallRun.ts";

let device: Device;
/** Trainers of the same options, which tests share: most of a test's time is compiling. */
let first: Trainer;
let second: Trainer;
/** The same, but for batches in parts of two. */
let inParts: Trainer;
/** What they begin with. */
let start: ReadonlyMap<string, Tensor>;
before(async () => {
  // Threads have nothing to do for networks so small.
  device = await createDevice("wasm", { wasm: { threads: 1 } });
  first = await Trainer.create(smallOptions, device);
  second = await Trainer.create(smallOptions, device);
  inParts = await Trainer.create({ ...smallOptions, batchDevice: 2 }, device);
  start = await first.readState();
});
after(() => {
  for (const trainer of [first, second, inParts]) trainer.dispose();
  device.dispose();
});

async function run(trainer: Trainer, steps: number): Promise<StepStatistics[]> {
  const statistics: StepStatistics[] = [];
  for (let i = 0; i < steps; i++) statistics.push(await trainer.step(smallBatch(trainer.nimg, trainer.options.batch)));
  return statistics;
}

async function runFromStart(trainer: Trainer, steps: number): Promise<StepStatistics[]> {
  await trainer.writeState(0, start);
  return run(trainer, steps);
}

async function bits(arrays: ReadonlyMap<string, Tensor>): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  for (const [name, tensor] of arrays) {
    const data = await tensor.data();
    result.set(name, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex"));
  }
  return result;
}

test("the same options give the same bits", async () => {
  const fresh = async (trainer: Trainer) => [await run(trainer, 3), await bits(await trainer.readState())];
  assert.deepEqual([first.nimg, second.nimg], [0, 0]);
  assert.deepEqual(await fresh(first), await fresh(second));
});

test("a restored trainer goes on with the bits of the one it was saved from", async () => {
  await runFromStart(first, 2);
  const saved = await first.readState();
  await run(first, 3);
  await second.writeState(16, saved);
  await run(second, 3);
  assert.deepEqual(await bits(await second.readState()), await bits(await first.readState()));
});

test("training lowers the error", async () => {
  const errors = (await runFromStart(first, 60)).map(({ error }) => error);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;
  assert.ok(mean(errors.slice(-15)) < 0.8 * mean(errors.slice(0, 15)), errors.join(" "));
});

test("a batch in parts trains like a whole one, but for rounding", async () => {
  const [whole, parts] = [await runFromStart(first, 4), await runFromStart(inParts, 4)];
  for (const [i, { loss, gradientNorm }] of whole.entries()) {
    assert.ok(Math.abs((parts[i]?.loss ?? NaN) - loss) < 1e-4 * Math.abs(loss), `loss of step ${i}`);
    assert.ok(Math.abs((parts[i]?.gradientNorm ?? NaN) - gradientNorm) < 1e-4 * gradientNorm, `gradient of step ${i}`);
  }
  assert.deepEqual(
    parts.map(({ sigmas }) => sigmas),
    whole.map(({ sigmas }) => sigmas),
    "noise does not depend on the split",
  );
});

for (const batchDevice of [8, 2]) {
  test(`a loss that is not finite names step, image, sigma and layer, in parts of ${batchDevice}`, async () => {
    const trainer = batchDevice === 8 ? first : inParts;
    await runFromStart(trainer, 2);
    const kept = await bits(await trainer.readState());
    const batch = smallBatch(16, 8);
    batch.images[5 * 192 + 7] = Infinity;
    await assert.rejects(
      trainer.step(batch),
      /the loss is NaN in step 2 \(images 16 to 23\), image 21 at sigma 0\.\d+: it began at images, where 1 of \d+ values/,
    );
    assert.equal(trainer.nimg, 16);
    assert.deepEqual(await bits(await trainer.readState()), kept);
  });
}

for (const [name, value, place] of [
  ["unet.dec.4x4_in1.conv_res0.weight", Number.NaN, "weight unet.dec.4x4_in1.conv_res0.weight, where 1 of 576 values"],
  // One of 64 numbers is above 3.4 and leaves float32's range.
  ["unet.enc.4x4_block0.emb_gain", 1e38, "enc.4x4_block0.emb_linear, where 1 of 64 values"],
] as const) {
  test(`what isn't finite in the network is found where it begins: ${name} = ${value}`, async () => {
    const state = new Map(start);
    const stored = state.get(`weights.${name}`) ?? assert.fail(`no ${name}`);
    const data = Float32Array.from((await stored.data()) as Float32Array);
    data[0] = value;
    state.set(`weights.${name}`, tensor(data, { shape: stored.shape }));
    await first.writeState(0, state);
    await assert.rejects(first.step(smallBatch(0, 8)), (reason) => {
      assert.ok(reason instanceof Error);
      assert.match(reason.message, /^training: the loss is NaN in step 0 \(images 0 to 7\), image \d at sigma \d/);
      assert.ok(reason.message.includes(`: it began at ${place}`), reason.message);
      return true;
    });
  });
}

const half = {
  ...smallOptions,
  network: { ...smallOptions.network, unet: { ...smallOptions.network.unet, activations: "float16" } },
} as const;

test("activations of 16 bits train as those of 32 do, but for rounding, and go on with the same bits", async () => {
  const trainer = await Trainer.create(half, device);
  const errors = (await run(trainer, 40)).map(({ error }) => error);
  const saved = await trainer.readState();
  await run(trainer, 3);
  const ended = await bits(await trainer.readState());
  await trainer.writeState(320, saved);
  await run(trainer, 3);
  assert.deepEqual(await bits(await trainer.readState()), ended);
  trainer.dispose();
  const whole = (await runFromStart(first, 40)).map(({ error }) => error);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;
  assert.notDeepEqual(errors, whole);
  const [last, lastOf32] = [mean(errors.slice(-15)), mean(whole.slice(-15))];
  assert.ok(Math.abs(last - lastOf32) < 0.05 * lastOf32, `error ${last} instead of ${lastOf32}`);
});

test("what flows back in 16 bits is scaled to 1 whatever the batch and the loss scaling, and no result shows it", async () => {
  assert.equal(cotangentScale(smallOptions, 8), 1);
  assert.deepEqual([cotangentScale(half, 2048), cotangentScale({ ...half, lossScaling: 100 }, 32)], [2048, 0.25]);
  const scaled = { ...half, lossScaling: 2 ** -20 };
  const trainers = [await Trainer.create(half, device), await Trainer.create(scaled, device)] as const;
  const [plain, other] = [await run(trainers[0], 1), await run(trainers[1], 1)];
  assert.deepEqual(other, plain);
  for (const trainer of trainers) trainer.dispose();
});

test("what flows back and is too large for 16 bits is reported, not limited", async () => {
  const [whole, rounded] = [await Trainer.create(smallOptions, device), await Trainer.create(half, device)] as const;
  const counts: number[] = [];
  for (const trainer of [whole, rounded]) {
    const state = new Map(await trainer.readState());
    state.set("weights.unet.out_gain", tensor(3e5));
    await trainer.writeState(0, state);
    const statistics = await trainer.step(smallBatch(0, 8));
    assert.ok(Number.isFinite(statistics.loss), `loss ${statistics.loss}`);
    counts.push(statistics.nonFiniteGradients);
    trainer.dispose();
  }
  assert.equal(counts[0], 0);
  assert.ok((counts[1] ?? 0) > 100, `${counts[1]} elements that aren't finite`);
});

test("dropout of activations and of labels draws by the image's position", async () => {
  const unet = { ...smallOptions.network.unet, dropout: 0.3 };
  const options = { ...smallOptions, network: { ...smallOptions.network, unet }, labelDropout: 0.5 };
  const losses = async (batchDevice: number): Promise<number[]> => {
    const trainer = await Trainer.create({ ...options, batchDevice }, device);
    const statistics = await run(trainer, 3);
    trainer.dispose();
    return statistics.map(({ loss }) => loss);
  };
  const [whole, parts] = [await losses(8), await losses(4)];
  whole.forEach((loss, i) => assert.ok(Math.abs((parts[i] ?? NaN) - loss) < 1e-4 * Math.abs(loss)));
});

test("options and arrays that don't fit are refused by name", async () => {
  await assert.rejects(
    Trainer.create({ ...smallOptions, batchDevice: 3 }, device),
    /batchDevice is 3, expected a divisor/,
  );
  await assert.rejects(Trainer.create({ ...smallOptions, emaSigmaRels: [0.3] }, device), /emaSigmaRels is 0.3/);
  await assert.rejects(first.step(smallBatch(0, 7)), /images have 1344 numbers, expected 8 x 192/);
  await assert.rejects(first.writeState(8, new Map()), /weights\.unet\.out_gain is missing|is missing, expected/);
  await assert.rejects(first.writeState(7, new Map()), /7 images are no multiple of the batch 8/);
});
