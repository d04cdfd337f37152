import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { explainTraining, Trainer, type TrainingOptions } from "../../../diffusion/training/index.ts";
import { createDevice, type Device, EvenkeelError } from "../../../engine/index.ts";
import type { OptimizerOptions } from "../../../nn/index.ts";
import { flatOptions, smallBatch } from "./smallRun.ts";

let device: Device;
before(async () => {
  device = await createDevice("wasm", { wasm: { threads: 1 } });
});
after(() => device.dispose());

const optimizers: Readonly<Record<string, { readonly optimizer: OptimizerOptions; readonly rate: number }>> = {
  sgd: { optimizer: { name: "sgd", momentum: 0.9 }, rate: 1e-3 },
  muon: { optimizer: { name: "muon" }, rate: 0.02 },
  soap: { optimizer: { name: "soap" }, rate: 0.02 },
  "muon on rows of fixed norm": { optimizer: { name: "muon", hyperball: "row" }, rate: 0.02 },
  "adam on matrices of fixed norm": { optimizer: { hyperball: "matrix" }, rate: 0.02 },
};

const optionsOf = (name: string): TrainingOptions => {
  const { optimizer, rate } = optimizers[name] ?? { optimizer: {}, rate: 0.02 };
  return { ...flatOptions, optimizer, learningRate: { ...flatOptions.learningRate, reference: rate } };
};

const train = async (trainer: Trainer, steps: number): Promise<number[]> => {
  const errors: number[] = [];
  for (let i = 0; i < steps; i++) {
    errors.push((await trainer.step(smallBatch(trainer.nimg, trainer.options.batch))).error);
  }
  return errors;
};

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

for (const name of Object.keys(optimizers)) {
  test(`${name} lowers the error, and a restored trainer goes on with its bits`, async () => {
    const options = optionsOf(name);
    const trainer = await Trainer.create(options, device);
    const errors = await train(trainer, 34);
    // Past a refresh of soap, and not at one.
    const saved = await trainer.readState();
    const { nimg } = trainer;
    const went = await train(trainer, 12);
    assert.ok(mean(went) < 0.95 * mean(errors.slice(0, 6)), `${mean(errors.slice(0, 6))} became ${mean(went)}`);
    const restored = await Trainer.create({ ...options }, device);
    await restored.writeState(nimg, saved);
    assert.deepEqual(await train(restored, 12), went);
    const [one, other] = [await trainer.readState(), await restored.readState()];
    for (const [array, tensor] of one) assert.deepEqual(await other.get(array)?.data(), await tensor.data(), array);
    trainer.dispose();
    restored.dispose();
  });
}

test("a batch in parts trains like a whole one under soap, but for rounding", async () => {
  const options = { ...optionsOf("soap"), learningRate: { reference: 0.005, referenceBatches: 0, rampUpMimg: 0 } };
  const errors = [];
  for (const batchDevice of [8, 4]) {
    const trainer = await Trainer.create({ ...options, batchDevice }, device);
    errors.push(await train(trainer, 12));
    trainer.dispose();
  }
  const [whole = [], parts = []] = errors;
  whole.forEach((error, i) => assert.ok(Math.abs(error - (parts[i] ?? NaN)) < 2e-3 * error, `step ${i}`));
});

test("what an optimizer does between steps is explained as a program of its own", async () => {
  const programs = await explainTraining(optionsOf("soap"), device);
  assert.deepEqual(
    programs.map(({ name, runs }) => [name, runs]),
    [
      ["step", 1],
      ["refresh", 0.1],
    ],
  );
});

test("options of the optimizer that don't fit are refused before anything is drawn", async () => {
  await assert.rejects(
    Trainer.create({ ...flatOptions, optimizer: { momentum: 0.5 } }, device),
    (error: unknown) =>
      error instanceof EvenkeelError && /adam has its means \(beta1\) in place of momentum/.test(error.message),
  );
});
