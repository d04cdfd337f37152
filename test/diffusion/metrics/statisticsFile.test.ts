import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import {
  FeatureCollector,
  type FeatureExtractor,
  type FeatureSet,
  requireSameSpace,
} from "../../../diffusion/metrics/index.ts";
import { readStatistics, writeStatistics } from "../../../diffusion/metrics/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import type { WritableTensor } from "../../../engine/io/index.ts";
import { writeSafetensors } from "../../../engine/io/node.ts";
import { normals } from "./normals.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-statistics-"));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => path.join(folder, name);

/** Three features of each image of one pixel. */
const extractor: FeatureExtractor = {
  name: "powers",
  distanceName: "FD-powers",
  fingerprint: "abc",
  dimension: 3,
  describe: () => "powers of the pixel",
  extract: async (images) => Float32Array.from([...images].flatMap((x) => [x, x ** 2, 1 / (1 + x)])),
  dispose: () => undefined,
};

async function sampleSet(kept = 4): Promise<FeatureSet> {
  const collector = new FeatureCollector(extractor, kept);
  await collector.add(Uint8Array.of(1, 2, 3), [3, 1, 1, 1]);
  await collector.add(Uint8Array.of(40, 50, 60), [3, 1, 1, 1]);
  return await collector.finish("six pixels");
}

const isFileError = (pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === "file" && pattern.test(error.message);

describe("statistics in files", () => {
  it("come back bit for bit, named after their file", async () => {
    const set = await sampleSet();
    assert.deepEqual([...set.features], [...(await extractor.extract(Uint8Array.of(1, 2, 3, 40), []))]);
    await writeStatistics(file("set.safetensors"), set);
    assert.deepEqual(await readStatistics(file("set.safetensors")), { ...set, source: file("set.safetensors") });
  });

  it("may do without vectors", async () => {
    const set = await sampleSet(0);
    await writeStatistics(file("bare.safetensors"), set);
    const { statistics, features } = await readStatistics(file("bare.safetensors"));
    assert.deepEqual(statistics, set.statistics);
    assert.equal(features.length, 0);
  });

  it("are refused for other features", async () => {
    const set = await sampleSet();
    requireSameSpace(set, extractor);
    for (const other of [{ name: "roots" }, { fingerprint: "abd" }, { dimension: 4 }]) {
      assert.throws(
        () => requireSameSpace(set, { ...extractor, ...other }),
        (error) =>
          error instanceof EvenkeelError &&
          /six pixels has statistics of the features powers \(3 numbers, fingerprint abc\)/.test(error.message),
      );
    }
  });

  it("are refused if the file is missing, something else or damaged", async () => {
    await assert.rejects(readStatistics(file("none.safetensors")), isFileError(/none\.safetensors/));
    writeFileSync(file("text.safetensors"), "hello, this is no file of tensors");
    await assert.rejects(readStatistics(file("text.safetensors")), isFileError(/text\.safetensors/));
    const { space, statistics } = await sampleSet();
    const header = { version: 1, kind: "featureStatistics", space, count: 6, source: "x" };
    const tensors: Record<string, WritableTensor> = {
      mean: { dtype: "F64", shape: [3], data: statistics.mean },
      covariance: { dtype: "F64", shape: [3, 3], data: statistics.covariance },
    };
    const write = async (parts: Record<string, WritableTensor>, evenkeel: unknown): Promise<string> => {
      const metadata: Record<string, string> = evenkeel === undefined ? {} : { evenkeel: JSON.stringify(evenkeel) };
      await writeSafetensors(file("odd.safetensors"), { ...tensors, ...parts }, { metadata });
      return file("odd.safetensors");
    };
    assert.equal((await readStatistics(await write({}, header))).statistics.count, 6);
    const cases: readonly (readonly [Record<string, WritableTensor>, unknown, RegExp])[] = [
      [{}, undefined, /holds no statistics of features: it is something else.*metrics ref makes them/],
      [{}, { version: 1, kind: "snapshot" }, /it is snapshot/],
      [{}, { ...header, version: 2 }, /version/],
      [{}, { ...header, count: 1 }, /count/],
      [{ mean: { dtype: "F32", shape: [3], data: new Float32Array(3) } }, header, /mean is F32 \[3\], not F64 \[3\]/],
      [{ covariance: { dtype: "F64", shape: [9], data: new Float64Array(9) } }, header, /covariance is F64 \[9\]/],
      [{ mean: { dtype: "F64", shape: [3], data: Float64Array.of(1, NaN, 3) } }, header, /element 1 of mean is NaN/],
      [{ features: { dtype: "F32", shape: [7, 3], data: new Float32Array(21) } }, header, /at most 6 rows of 3/],
      [{ features: { dtype: "F32", shape: [2, 2], data: new Float32Array(4) } }, header, /features are F32 \[2, 2\]/],
      [{ features: { dtype: "F32", shape: [1, 3], data: Float32Array.of(1, NaN, 1) } }, header, /aren't all finite/],
    ];
    for (const [parts, metadata, pattern] of cases) {
      await assert.rejects(readStatistics(await write(parts, metadata)), isFileError(pattern));
    }
  });

  it("aren't made of an extractor that gives another number of features", async () => {
    const broken = { ...extractor, extract: async () => new Float32Array(5) };
    await assert.rejects(
      new FeatureCollector(broken, 0).add(Uint8Array.of(1, 2), [2, 1, 1, 1]),
      /2 images gave 5 numbers, not 3 each/,
    );
  });
});

describe("normals", () => {
  it("have mean 0 and variance 1, as the tests with them assume", () => {
    const x = normals(1e5, 77);
    const mean = x.reduce((a, b) => a + b) / x.length;
    const variance = x.reduce((sum, value) => sum + value ** 2, 0) / x.length;
    assert.ok(Math.abs(mean) < 4 / Math.sqrt(1e5) && Math.abs(variance - 1) < 4 * Math.sqrt(2 / 1e5));
  });
});
