import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { nsfwjsFeatures, type NsfwjsName, nsfwjsNames } from "../../../diffusion/features/node.ts";
import { getDevice } from "../../../engine/index.ts";
import { featureCases, type FeatureFixture, fixturePath } from "./fixture.ts";
import { colourPictures } from "./pictures.ts";

// These tests need the development dependency nsfwjs; without it they fail.
const folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-features-"));
const before = process.env.EVENKEEL_CACHE;
process.env.EVENKEEL_CACHE = folder;
after(() => {
  rmSync(folder, { recursive: true });
  if (before === undefined) delete process.env.EVENKEEL_CACHE;
  else process.env.EVENKEEL_CACHE = before;
});
const device = await getDevice("wasm");

/** Name, and the lines it printed, of the extractor. */
async function open(name: NsfwjsName): Promise<{
  readonly lines: readonly string[];
  readonly extractor: Awaited<ReturnType<typeof nsfwjsFeatures>>;
}> {
  const lines: string[] = [];
  const extractor = await nsfwjsFeatures(name, { device, print: (line) => void lines.push(line) });
  return { lines, extractor };
}

describe("features of nsfwjs against TensorFlow.js", () => {
  const fixture = JSON.parse(readFileSync(fixturePath, "utf8")) as FeatureFixture;
  // Rounding to float32 in 53 layers (94 in Inception), on both sides. Of MobileNetV2 1.0, all features of two of these pictures were
  // computed in float64 by the oracle: ours deviate by up to 9e-6 and TensorFlow.js's by up to 8e-6, relative to the larger of a
  // value and the root mean square of its vector; against each other by up to 1.4e-5. Twice their sum is allowed.
  const bound = 4e-5;
  for (const [name, { network, pictures }] of Object.entries(featureCases)) {
    it(name, async (t) => {
      const { extractor } = await open(network);
      const { shape, values } = pictures();
      const features = await extractor.extract(values, shape);
      extractor.dispose();
      const expected = fixture[name] ?? [];
      assert.equal(expected.length, shape[0]);
      let worst = 0;
      for (const [n, { dimension, norm, stride, values: wanted }] of expected.entries()) {
        assert.equal(extractor.dimension, dimension);
        assert.equal(wanted.length, 32);
        const vector = features.subarray(n * dimension, (n + 1) * dimension);
        // Of a value as large as the root mean square of the vector, or its own size if it is larger.
        const usual = norm / Math.sqrt(dimension);
        for (const [i, value] of wanted.entries()) {
          const deviation = Math.abs((vector[i * stride] ?? NaN) - value) / Math.max(usual, Math.abs(value));
          worst = Math.max(worst, deviation, Math.abs(Math.hypot(...vector) / norm - 1));
          if (Number.isNaN(deviation)) assert.fail(`value ${i * stride} of picture ${n} is not a number`);
        }
      }
      t.diagnostic(`largest deviation ${worst.toExponential(1)}`);
      assert.ok(worst < bound, `deviates by ${worst}`);
    });
  }
});

describe("features of nsfwjs", () => {
  it("are converted once, and again if the file is damaged", async () => {
    const name = "nsfwjs-mobilenet-small";
    const first = await open(name);
    const again = await open(name);
    assert.deepEqual(again.lines, []);
    const file = readdirSync(folder).find((entry) => entry.startsWith(`${name}-`)) ?? "";
    const stored = path.join(folder, file);
    const bytes = readFileSync(stored);
    writeFileSync(stored, bytes.subarray(0, bytes.length / 2));
    const repaired = await open(name);
    assert.equal(repaired.lines.length, 2);
    assert.match(repaired.lines[0] ?? "", /Converting again\.$/);
    assert.deepEqual(readFileSync(stored), bytes);
    assert.equal(repaired.extractor.fingerprint, first.extractor.fingerprint);
    for (const { extractor } of [first, again, repaired]) extractor.dispose();
  });

  it("of a picture don't depend on the others", async () => {
    const { extractor } = await open("nsfwjs-mobilenet-small");
    const { shape, values } = colourPictures();
    const together = await extractor.extract(values, shape);
    const alone = await extractor.extract(values.subarray(values.length / 3, (values.length / 3) * 2), [1, 3, 32, 32]);
    extractor.dispose();
    assert.deepEqual(alone, together.subarray(1280, 2560));
  });

  it("have names that are not FID, and fingerprints of their own", async () => {
    const opened = await Promise.all(nsfwjsNames.map(open));
    const extractors = opened.map(({ extractor }) => extractor);
    assert.deepEqual(
      extractors.map(({ name }) => name),
      nsfwjsNames,
    );
    assert.equal(new Set(extractors.map(({ fingerprint }) => fingerprint)).size, extractors.length);
    for (const extractor of extractors) {
      assert.doesNotMatch(extractor.distanceName, /FID/);
      assert.match(extractor.describe(), /nsfwjs 4\.3\.0/);
      extractor.dispose();
    }
  });

  it("refuse what is no picture", async () => {
    const { extractor } = await open("nsfwjs-mobilenet-small");
    await assert.rejects(extractor.extract(new Uint8Array(8), [1, 2, 2, 2]), { code: "shape" });
    extractor.dispose();
  });
});
