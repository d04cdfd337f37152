/** The event loop turns during long work of the host too: signals, timers and messages don't wait for its end. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  compareDistribution,
  drawPoints,
  exactScorer,
  excessLoss,
  growToyMixture,
  RandomState,
} from "../../diffusion/toy/index.ts";
import { createDataset, datasetStatistics, Notices } from "../../diffusion/data/index.ts";
import {
  FeatureCollector,
  type FeatureExtractor,
  MetricMeter,
  type MetricName,
} from "../../diffusion/metrics/index.ts";
import { fittingProfiles, powerProfile } from "../../diffusion/ema/index.ts";
import { withPictures } from "../../diffusion/data/node/pictures.ts";
import { writeDataset } from "../../diffusion/data/node.ts";
import { inTurns } from "../../engine/index.ts";
import { npy } from "./data/sampleFiles.ts";
import { turnsOf } from "../support/longestGap.ts";
import { normals } from "./metrics/normals.ts";

const dimension = 320;
/** As many features of every picture, whatever it shows. */
const extractor: FeatureExtractor = {
  name: "noise",
  distanceName: "FD-noise",
  fingerprint: "noise",
  dimension,
  describe: () => "noise",
  extract: async (images) => Float32Array.from(normals(images.length * dimension, images[0] ?? 0)),
  dispose: () => undefined,
};
const collect = async (seed: number, count: number) => {
  const collector = new FeatureCollector(extractor, count);
  await collector.add(new Uint8Array(count).fill(seed), [count, 1, 1, 1]);
  return collector.finish("noise");
};

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "evenkeel-long-work-"));
});
after(() => rm(folder, { recursive: true }));

const mixture = growToyMixture("A");
const pixels = (count: number, size: number) => {
  const resolution = Math.sqrt(size / 3);
  return createDataset({ name: "black", channels: 3, resolution, pixels: new Uint8Array(count * size), labels: null });
};

describe("the event loop turns during", () => {
  const cases: Readonly<Record<string, () => Promise<() => Promise<unknown>>>> = {
    ...Object.fromEntries(
      (["frechet", "kid", "precision"] as const).map((name: MetricName) => [
        name,
        async () => {
          const [set, reference] = [await collect(1, 1500), await collect(2, 1500)];
          return () => new MetricMeter(reference).measure(set, [name], { kid: { subsets: 4 } });
        },
      ]),
    ),
    "statistics of features": async () => {
      const features = Float32Array.from(normals(8192 * dimension, 1));
      const collector = new FeatureCollector({ ...extractor, extract: async () => features }, 0);
      return async () => {
        await collector.add(new Uint8Array(1), [8192, 1, 1, 1]);
        await collector.finish("noise");
      };
    },
    "statistics of a data set": async () => {
      const dataset = pixels(150, 3 * 256 ** 2);
      return () => datasetStatistics(dataset);
    },
    "writing a data set": async () => {
      const dataset = pixels(100, 3 * 128 ** 2);
      return () => writeDataset(join(folder, "waves.zip"), dataset);
    },
    "reading planes of an array": async () => {
      const path = join(folder, "planes.npy");
      await writeFile(path, npy("|u1", [300, 3, 256, 256], new Uint8Array(300 * 3 * 256 ** 2)));
      const reading = { notices: new Notices(), onProgress: (): void => undefined };
      return () => withPictures(path, reading, "files", async () => undefined);
    },
    "exact scores": async () => {
      const points = drawPoints(mixture, 10_000, new RandomState(1));
      return () => exactScorer(mixture)(points, 0.1);
    },
    "an excess loss": async () => {
      const options = { sigmaMin: 0.01, sigmaMax: 1, bins: 1, points: 8000 };
      return () => excessLoss(mixture, exactScorer(mixture), options, new RandomState(1));
    },
    "a comparison of distributions": async () => {
      const samples = drawPoints(mixture, 1500, new RandomState(1));
      return () => compareDistribution(mixture, samples, 4, new RandomState(2));
    },
    "fits of averages": async () => {
      const stored = Array.from({ length: 200 }, (_, i) => powerProfile(1000 * (i + 1), 0.1));
      const wanted = Array.from({ length: 200 }, (_, i) => powerProfile(200_000, 0.05 + 0.001 * i));
      return () => inTurns(fittingProfiles(stored, wanted));
    },
  };
  for (const [name, prepare] of Object.entries(cases)) {
    it(name, async () => {
      const { whole, gap } = await turnsOf(await prepare());
      // Turns are every 5 to 20 ms; what other threads of the process do meanwhile counts as well.
      assert.ok(whole > 60, `${whole} ms are too short to tell`);
      assert.ok(gap < whole / 2, `${gap} ms of ${whole} ms without a turn`);
    });
  }
});
