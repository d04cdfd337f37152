import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { drawSigmas } from "../../../diffusion/toy/draw.ts";
import {
  excessLoss,
  growToyMixture,
  RandomState,
  ScoreProgram,
  toyRecipes,
  ToyTrainer,
  type ToyTrainingOptions,
} from "../../../diffusion/toy/index.ts";
import { readToySnapshot, writeToySnapshot } from "../../../diffusion/toy/node.ts";
import { disposeDevices, EvenkeelError, getDevice } from "../../../engine/index.ts";
import { writeSafetensors } from "../../../engine/io/node.ts";
import type { NamedParameters } from "../../../nn/index.ts";

const root = mkdtempSync(path.join(os.tmpdir(), "evenkeel-toy-"));
after(() => rmSync(root, { recursive: true }));
after(disposeDevices);

const { training } = toyRecipes.thorough;
const options: ToyTrainingOptions = {
  ...training,
  model: { ...training.model, dim: 16, layers: 2 },
  batch: 128,
  cls: "A",
  seed: 1,
};

async function train(given: ToyTrainingOptions, steps: number): Promise<NamedParameters> {
  const trainer = await ToyTrainer.create(given, await getDevice("wasm"));
  try {
    for (let i = 1; i <= steps; i++) assert.equal((await trainer.step()).iteration, i);
    return await trainer.average();
  } finally {
    trainer.dispose();
  }
}

async function valuesOf(weights: NamedParameters): Promise<number[][]> {
  return Promise.all(Object.values(weights).map(async (value) => [...(await value.data())]));
}

describe("training on the toy data", () => {
  it("lowers the excess loss at every noise level", async () => {
    const device = await getDevice("wasm");
    const losses: number[][] = [];
    for (const steps of [1, 250]) {
      const program = await ScoreProgram.create(options.model, await train(options, steps), device);
      const levels = { sigmaMin: 0.1, sigmaMax: 5, bins: 4, points: 256 };
      const bins = await excessLoss(growToyMixture("A"), program.scores, levels, new RandomState(3));
      losses.push(bins.map(({ ratio }) => ratio));
      program.dispose();
    }
    const [untrained = [], trained = []] = losses;
    assert.equal(trained.length, 4);
    trained.forEach((ratio, i) => assert.ok(ratio < 0.8 * (untrained[i] ?? NaN), `${untrained[i]} to ${ratio}`));
  });

  it("is the same from the same seed, and another from another", async () => {
    const [first, again, other] = [
      await train(options, 3),
      await train(options, 3),
      await train({ ...options, seed: 2 }, 3),
    ];
    assert.deepEqual(await valuesOf(first), await valuesOf(again));
    assert.notDeepEqual(await valuesOf(first), await valuesOf(other));
  });

  it("draws noise levels as the recipes say", () => {
    const random = new RandomState(6);
    const ranges = { kind: "twoRanges", sigmaMin: 0.01, border: 0.1, sigmaMax: 10, lowShare: 0.5 } as const;
    const even = drawSigmas(ranges, 10, random);
    even.forEach((sigma, i) => {
      // Five parts of one decade, then five of two.
      const at = (part: number): number => 10 ** (part < 5 ? -2 + part / 5 : -1 + (2 * (part - 5)) / 5);
      assert.ok(sigma >= at(i) * (1 - 1e-12) && sigma <= at(i + 1) * (1 + 1e-12), `${i} ${sigma}`);
    });
    const logs = drawSigmas(toyRecipes.published.training.noise, 10000, random).map(Math.log);
    const mean = logs.reduce((sum, value) => sum + value, 0) / 10000;
    const std = Math.sqrt(logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 10000);
    // Four standard errors.
    assert.ok(Math.abs(mean + 2.3) <= 0.06 && Math.abs(std - 1.5) <= 0.043, `${mean} ${std}`);
  });

  it("refuses options that don't fit, and says where a loss stopped being finite", async () => {
    const device = await getDevice("wasm");
    const refused = async (wrong: Partial<ToyTrainingOptions>, code: string): Promise<void> =>
      assert.rejects(
        async () => ToyTrainer.create({ ...options, ...wrong }, device),
        (error) => error instanceof EvenkeelError && error.code === code,
      );
    await refused({ batch: 0 }, "value");
    await refused({ strayShare: 1.5 }, "value");
    await refused({ seed: -1 }, "value");
    await refused({ model: { ...options.model, dim: 0.5 } }, "value");
    const trainer = await ToyTrainer.create({ ...options, learningRate: 1e38 }, device);
    await assert.rejects(async () => {
      for (let i = 0; i < 5; i++) await trainer.step();
    }, /iteration \d the loss is (NaN|Infinity).*lower learning rate/);
    trainer.dispose();
  });
});

describe("stored models", () => {
  it("are read as they were written", async () => {
    const file = path.join(root, "toy.safetensors");
    const weights = await train(options, 1);
    await writeToySnapshot(file, { training: options, iteration: 1, weights });
    const read = await readToySnapshot(file);
    assert.deepEqual(read.training, options);
    assert.equal(read.iteration, 1);
    assert.deepEqual(Object.keys(read.weights).sort(), Object.keys(weights).sort());
    for (const [name, value] of Object.entries(weights)) {
      assert.deepEqual(await read.weights[name]?.data(), await value.data());
    }
  });

  it("are told from other files", async () => {
    const weight = { w: { dtype: "F32", shape: [1], data: Float32Array.of(1) } } as const;
    const header = { version: 1, kind: "toy", iteration: 1, training: options };
    const cases: readonly (readonly [evenkeel: string | undefined, message: RegExp])[] = [
      [undefined, /has no header of evenkeel's\. Expected a model that/],
      ["{", /its header of evenkeel's is not JSON/],
      [JSON.stringify({ ...header, kind: "snapshot" }), /is a snapshot\. Expected a model that/],
      ["3", /is a something else/],
      [JSON.stringify({ ...header, iteration: "1" }), /in its header iteration is wrong/],
      [JSON.stringify({ ...header, training: { ...options, cls: "C" } }), /in its header training\.cls is wrong/],
      [JSON.stringify(header), /lacks "gain", "layers\.0\.weight"/],
    ];
    for (const [evenkeel, message] of cases) {
      const file = path.join(root, "wrong.safetensors");
      await writeSafetensors(file, weight, { metadata: evenkeel === undefined ? {} : { evenkeel } });
      await assert.rejects(
        () => readToySnapshot(file),
        (error) => error instanceof EvenkeelError && message.test(error.message),
      );
    }
    const text = path.join(root, "text.safetensors");
    writeFileSync(text, "no such file");
    await assert.rejects(() => readToySnapshot(text), EvenkeelError);
  });
});
