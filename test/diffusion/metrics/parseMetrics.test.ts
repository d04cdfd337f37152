/** Names of metrics and of features, and how many pictures metrics take. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  FeatureCollector,
  fewestPictures,
  metricNames,
  MetricMeter,
  parseMetrics,
  pixelFeatures,
} from "../../../diffusion/metrics/index.ts";
import { requireFeatures } from "../../../diffusion/metrics/node.ts";

describe("parseMetrics", () => {
  it("takes each metric once, and says what was meant", () => {
    assert.deepEqual(parseMetrics("kid, frechet,kid"), ["kid", "frechet"]);
    assert.deepEqual(parseMetrics(metricNames.join(",")), metricNames);
    assert.throws(
      () => parseMetrics("kid,frechett"),
      /^EvenkeelError: frechett is none of frechet, .*; did you mean frechet\?$/,
    );
    assert.throws(() => parseMetrics("inception"), /inception is none of .*coverage\.$/);
    assert.throws(() => parseMetrics(""), /nothing is none of/);
  });
});

describe("fewestPictures", () => {
  it("is what a metric can be measured of, and one fewer isn't", async () => {
    const extractor = pixelFeatures(1, 1);
    const setOf = async (count: number) => {
      const collector = new FeatureCollector(extractor, count);
      await collector.add(
        Uint8Array.from({ length: count }, (_, i) => 40 * i),
        [count, 1, 1, 1],
      );
      return collector.finish("pictures");
    };
    const meter = new MetricMeter(await setOf(6));
    for (const metric of metricNames) {
      const fewest = fewestPictures(metric);
      const { values } = await meter.measure(await setOf(fewest), [metric]);
      assert.ok(Number.isFinite(values[metric]), metric);
      await assert.rejects(async () => meter.measure(await setOf(fewest - 1), [metric]), { code: "value" }, metric);
    }
  });
});

describe("requireFeatures", () => {
  it("refuses names that there are none of, with the nearest, and pictures that features aren't for", () => {
    const size = { channels: 3, resolution: 16 } as const;
    for (const name of ["pixels", "nsfwjs-mobilenet", "classifier:some.safetensors"]) requireFeatures(name, size);
    assert.throws(() => requireFeatures("pixel", size), /features pixel: there are none .*; did you mean pixels\?/);
    assert.throws(() => requireFeatures("classifier", size), /write classifier:FILE/);
    assert.throws(
      () => requireFeatures("pixels", { channels: 3, resolution: 64 }),
      /have 12288 values, more than 4096/,
    );
  });
});
