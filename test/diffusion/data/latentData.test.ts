import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { encodeNpy, gatherBatch, isLatent, selectImages, trainingBatches } from "../../../diffusion/data/index.ts";
import { vaeWhitening } from "../../../diffusion/encoding/index.ts";
import { openDataset, openTrainingData } from "../../../diffusion/data/node.ts";
import { fingerprint } from "../../../diffusion/data/index.ts";

const [count, size] = [5, 8];
const area = size * size;

/** Means of image i are around i, channel by channel those of the VAE; deviations 0.1. */
const statistics = (image: number): Float32Array =>
  Float32Array.from({ length: 8 * area }, (_, i) => (i < 4 * area ? image + 0.01 * (i % area) : 0.1));

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "evenkeel-latents-"));
  await mkdir(join(folder, "00000"));
  for (let i = 0; i < count; i++) {
    const chunks = encodeNpy(statistics(i), [8, size, size]);
    await writeFile(join(folder, "00000", `img-mean-std-0000000${i}.npy`), Buffer.concat(chunks));
  }
  const labels = Array.from({ length: count }, (_, i) => [`00000/img-mean-std-0000000${i}.npy`, i % 3]);
  await writeFile(join(folder, "dataset.json"), JSON.stringify({ labels }));
});
after(() => rm(folder, { recursive: true }));

describe("latents as the reference's `dataset encode` stores them", () => {
  it("are data to train on, with their labels, and no pictures", async () => {
    const dataset = await openTrainingData(folder);
    assert.ok(isLatent(dataset));
    const { channels, resolution, labels, meanAndDeviation } = dataset;
    assert.deepEqual([dataset.count, channels, resolution], [count, 4, size]);
    assert.deepEqual(labels, { kind: "classes", labelDim: 3, values: Int32Array.of(0, 1, 2, 0, 1) });
    assert.deepEqual(meanAndDeviation.subarray(8 * area, 16 * area), statistics(1));
    await assert.rejects(openDataset(folder), { code: "file", message: /holds the latents of 5 pictures/ });
    const chosen = selectImages(dataset, [3, 1]);
    assert.deepEqual(chosen.meanAndDeviation.subarray(0, 8 * area), statistics(3));
    assert.deepEqual(chosen.labels?.values, Int32Array.of(0, 1));
    assert.notEqual(fingerprint(chosen), fingerprint(selectImages(dataset, [3, 2])));
  });

  it("are drawn anew at each use, whitened, as a function of the seed and the position alone", async () => {
    const dataset = await openTrainingData(folder);
    const { scale, bias } = vaeWhitening();
    const { images: means, labels } = gatherBatch(dataset, [2]);
    assert.deepEqual([...(labels ?? [])], [0, 0, 1]);
    means.forEach((value, i) => {
      const channel = Math.floor(i / area);
      const expected = (2 + 0.01 * (i % area)) * (scale[channel] ?? NaN) + (bias[channel] ?? NaN);
      assert.ok(Math.abs(value - expected) < 1e-5, `${value} at ${i}, expected ${expected}`);
    });
    const batches = trainingBatches(dataset, 7, false);
    const whole = batches(10, 6);
    const part = batches(13, 2);
    assert.deepEqual(part.images, whole.images.subarray(3 * 4 * area, 5 * 4 * area));
    assert.deepEqual(trainingBatches(dataset, 7, false)(10, 6), whole);
    // All epochs have all images, each with another draw.
    const epochs = [batches(0, count), batches(count, count)].map(({ images }) => images);
    const sums = epochs.map((images) => images.reduce((sum, x) => sum + x, 0) / images.length);
    assert.ok(Math.abs((sums[0] ?? 0) - (sums[1] ?? 1)) < 0.01);
    assert.notDeepEqual(epochs[0], epochs[1]);
  });

  it("are drawn by standard normals", async () => {
    const one = { ...(await openTrainingData(folder)), count: 1, labels: null, meanAndDeviation: statistics(0) };
    const [mean] = [gatherBatch(one, [0]).images];
    const { scale } = vaeWhitening();
    const draws = trainingBatches(one, 1, false)(0, 400).images;
    let [sum, squares, fourths] = [0, 0, 0];
    draws.forEach((value, i) => {
      const at = i % (4 * area);
      const z = (value - (mean[at] ?? 0)) / (0.1 * (scale[Math.floor(at / area)] ?? NaN));
      sum += z;
      squares += z * z;
      fourths += z ** 4;
    });
    const n = draws.length;
    // Mean, square and fourth power of n normals lie within six of their deviations; the seed is fixed.
    assert.ok(Math.abs(sum / n) < 6 / Math.sqrt(n));
    assert.ok(Math.abs(squares / n - 1) < 6 * Math.sqrt(2 / n));
    assert.ok(Math.abs(fourths / n - 3) < 6 * Math.sqrt(96 / n));
  });

  it("of another form are refused with the file's name", async () => {
    const other = await mkdtemp(join(folder, "other-"));
    for (const [name, shape] of [
      ["a.npy", [4, size, size]],
      ["b.npy", [4, size, size]],
    ] as const) {
      await writeFile(join(other, name), Buffer.concat(encodeNpy(new Float32Array(4 * area), shape)));
    }
    await assert.rejects(openTrainingData(other), {
      code: "file",
      message: /a\.npy is \[4, 8, 8\], expected \[8, H, H\]: 4 channels of means, then as many of deviations/,
    });
    await rm(other, { recursive: true });
  });
});
