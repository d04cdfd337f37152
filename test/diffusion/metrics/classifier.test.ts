import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { classifierConfig, ClassifierTrainer } from "../../../diffusion/metrics/index.ts";
import { createDataset, type ImageDataset, selectImages } from "../../../diffusion/data/index.ts";
import { featureExtractor, listFeatures, readClassifier, writeClassifier } from "../../../diffusion/metrics/node.ts";
import { EvenkeelError, getDevice } from "../../../engine/index.ts";
import { writeSafetensors } from "../../../engine/io/node.ts";
import { normals } from "./normals.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-classifier-"));
after(() => rmSync(folder, { recursive: true }));
const device = await getDevice("wasm");

/** Noise with vertical, horizontal or no stripes: three classes that only convolutions tell apart, not the mean. */
function stripes(count: number, seed: number): ImageDataset {
  const noise = normals(count * 64, seed);
  const labels = Array.from({ length: count }, (_, i) => i % 3);
  const pixels = Uint8Array.from(noise, (value, at) => {
    const [image, y, x] = [Math.floor(at / 64), Math.floor(at / 8) % 8, at % 8];
    const phase = [x, y, 0][image % 3] ?? 0;
    const stripe = image % 3 === 2 ? 0 : (phase + Math.floor(image / 3)) % 2 === 0 ? 60 : -60;
    return Math.min(Math.max(Math.round(128 + stripe + 25 * value), 0), 255);
  });
  return createDataset({ name: "stripes", channels: 1, resolution: 8, pixels, labels });
}

const training = { steps: 30, batch: 24, learningRate: 0.02, xflip: false, seed: 1 };
const config = classifierConfig({ imageChannels: 1, imageResolution: 8, classes: 3, channels: [8, 16] });

async function trained(): Promise<ClassifierTrainer> {
  const trainer = await ClassifierTrainer.create(config, training, stripes(300, 1), device);
  while (trainer.iteration < training.steps) await trainer.step();
  return trainer;
}

describe("ClassifierTrainer", () => {
  it("learns classes and is right about images that it hasn't seen", async (t) => {
    const trainer = await ClassifierTrainer.create(config, training, stripes(300, 1), device);
    t.after(() => trainer.dispose());
    const others = stripes(75, 2);
    const before = await trainer.evaluate(others);
    const losses: number[] = [];
    while (trainer.iteration < training.steps) losses.push(await trainer.step());
    const { accuracy, loss } = await trainer.evaluate(others);
    assert.ok((losses[0] ?? NaN) > 0.9, `${losses[0]}: three classes by chance are 1.1 nats`);
    assert.ok(accuracy > 0.9 && loss < 0.5 && loss < before.loss, JSON.stringify({ before, accuracy, loss }));
    // Classes that are missing in a part don't change what the rest is.
    const some = await trainer.evaluate(selectImages(others, [0, 3, 6]));
    assert.ok(some.accuracy >= 0 && some.accuracy <= 1);
  });

  it("is saved and read, and gives the features by its name; features do not depend on other images", async (t) => {
    const trainer = await trained();
    t.after(() => trainer.dispose());
    const file = path.join(folder, "stripes.safetensors");
    const heldOut = { images: 75, accuracy: 0.96, loss: 0.1 };
    const info = { classNames: null, data: { name: "stripes", fingerprint: "f" }, training, heldOut };
    const weights = await trainer.weights();
    await writeClassifier(file, { config, weights }, info);
    const stored = await readClassifier(file);
    assert.deepEqual(stored.config, config);
    assert.deepEqual(stored.info, info);
    for (const [name, value] of Object.entries(weights)) {
      assert.deepEqual(await stored.weights[name]?.data(), await value.data(), name);
    }

    const size = { channels: 1, resolution: 8 };
    const features = await featureExtractor(`classifier:${file}`, size, { device });
    t.after(() => features.dispose());
    assert.deepEqual([features.name, features.distanceName, features.dimension], ["classifier", "FD-classifier", 16]);
    assert.equal(features.fingerprint, stored.fingerprint);
    assert.match(features.describe(), /trained on stripes, 96\.0% right of 75 others/);
    const { pixels } = stripes(20, 3);
    const all = await features.extract(pixels, [20, 1, 8, 8]);
    assert.equal(all.length, 20 * 16);
    const last = await features.extract(pixels.subarray(19 * 64), [1, 1, 8, 8]);
    assert.deepEqual([...last], [...all.subarray(19 * 16)]);
    await assert.rejects(features.extract(new Uint8Array(48), [1, 3, 4, 4]), /3x4x4, and it was trained on 1x8x8/);

    // Another training has another fingerprint.
    const [first = "", value] = Object.entries(weights)[0] ?? [];
    assert.ok(value !== undefined);
    await writeClassifier(file, { config, weights: { ...weights, [first]: value.multiply(-1) } }, info);
    assert.notEqual((await readClassifier(file)).fingerprint, stored.fingerprint);
  });

  it("refuses data and configurations that don't fit", async () => {
    const fails = (pattern: RegExp) => (error: unknown) =>
      error instanceof EvenkeelError && error.code === "value" && pattern.test(error.message);
    const shape = { imageChannels: 1, imageResolution: 8, classes: 3 };
    assert.throws(() => classifierConfig({ ...shape, classes: 1 }), fails(/1 classes/));
    assert.throws(() => classifierConfig({ ...shape, imageChannels: 4 }), fails(/4 channels/));
    assert.throws(() => classifierConfig({ ...shape, imageResolution: 2 }), fails(/2 pixels high/));
    assert.throws(() => classifierConfig({ ...shape, imageResolution: 7, channels: [8, 8] }), fails(/halved 1 times/));
    assert.deepEqual(classifierConfig({ ...shape, imageResolution: 28 }).channels, [32, 64, 128]);
    assert.deepEqual(classifierConfig({ ...shape, imageResolution: 7 }).channels, [128]);
    const make = async (dataset: ImageDataset, options = training): Promise<unknown> =>
      ClassifierTrainer.create(config, options, dataset, device);
    const data = stripes(30, 1);
    await assert.rejects(make({ ...data, labels: null }), fails(/no classes to learn/));
    await assert.rejects(make({ ...data, resolution: 4 }), fails(/images of 1x4x4, expected 1x8x8/));
    await assert.rejects(make(data, { ...training, steps: 0 }), fails(/0 steps/));
  });
});

describe("featureExtractor", () => {
  const size = { channels: 3, resolution: 2 };

  it("gives pixels from -1 to 1", async () => {
    const pixels = await featureExtractor("pixels", size, { device });
    assert.deepEqual([pixels.dimension, pixels.fingerprint, pixels.distanceName], [12, "3x2x2", "FD-pixels"]);
    const features = await pixels.extract(
      Uint8Array.from({ length: 24 }, (_, i) => (i === 0 ? 255 : 0)),
      [2, 3, 2, 2],
    );
    assert.deepEqual([...features.subarray(0, 2)], [1, -1]);
    await assert.rejects(pixels.extract(new Uint8Array(4), [1, 1, 2, 2]), /images are 1x2x2, expected 3x2x2/);
    await assert.rejects(pixels.extract(new Uint8Array(4), [1, 3, 2, 2]), /not images \[N, C, H, W\]/);
    await assert.rejects(featureExtractor("pixels", { channels: 3, resolution: 64 }, { device }), /12288 values/);
  });

  it("refuses names that aren't known, and files that aren't what they should be", async () => {
    const make = async (name: string): Promise<unknown> => featureExtractor(name, size, { device });
    await assert.rejects(make("fid"), /features fid: there are none of this name, only pixels, .*classifier:FILE/);
    await assert.rejects(make("constructor"), /there are none of this name/);
    await assert.rejects(make("classifier"), /write classifier:FILE/);
    await assert.rejects(make("pixels:file"), /write pixels/);
    assert.ok(listFeatures().some((line) => line.startsWith("pixels ")));
    await assert.rejects(make(`classifier:${folder}/none.safetensors`), /none\.safetensors/);
    const other = path.join(folder, "other.safetensors");
    await writeSafetensors(other, { w: { dtype: "F32", shape: [1], data: Float32Array.of(1) } });
    await assert.rejects(make(`classifier:${other}`), /holds no classifier: it is something else/);
    const header = { version: 1, kind: "classifier", config, classNames: null, training: {}, heldOut: null };
    const metadata = { evenkeel: JSON.stringify({ ...header, data: { name: "x", fingerprint: "y" } }) };
    await writeSafetensors(other, { w: { dtype: "F32", shape: [1], data: Float32Array.of(1) } }, { metadata });
    await assert.rejects(make(`classifier:${other}`), /lacks "input\.weight"/);
    writeFileSync(other, "no tensors");
    await assert.rejects(
      make(`classifier:${other}`),
      (error) => error instanceof EvenkeelError && error.code === "file",
    );
  });
});
