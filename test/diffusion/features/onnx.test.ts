import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { featureExtractor } from "../../../diffusion/metrics/node.ts";
import { onnxFeatures, type OnnxOptions, onnxPresets, type OnnxRuntime } from "../../../diffusion/features/node.ts";
import { getDevice } from "../../../engine/index.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-onnx-"));
after(() => rmSync(folder, { recursive: true }));
const file = path.join(folder, "pool.onnx");
// A GlobalAveragePool of `images` [N, 3, 224, 224] to `features` [N, 3, 1, 1].
const model =
  "CAg6dAolCgZpbWFnZXMSCGZlYXR1cmVzIhFHbG9iYWxBdmVyYWdlUG9vbBIBZ1ojCgZpbWFnZXMSGQoXCAESEwoDEgFOCgII" +
  "AwoDCOABCgMI4AFiIwoIZmVhdHVyZXMSFwoVCAESEQoDEgFOCgIIAwoCCAEKAggBQgQKABAN";
writeFileSync(file, Buffer.from(model, "base64"));

const options: OnnxOptions = {
  size: 2,
  resize: "bilinear",
  mean: [0, 0, 0],
  deviation: [1, 1, 1],
  distanceName: "FD-test",
  batch: 2,
};

type Log = { readonly fed: number[][]; released: number };
type Fake = { readonly runtime: OnnxRuntime; readonly log: Log };
class FakeTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  constructor(_type: "float32", data: Float32Array, dims: readonly number[]) {
    this.data = data;
    this.dims = dims;
  }
}

/** A runtime whose network gives an image's first values in the form [N, ...form]. */
function fake(form: readonly number[], inputNames = ["x"], outputNames = ["y", "z"]): Fake {
  const log: Log = { fed: [], released: 0 };
  const session = {
    inputNames,
    outputNames,
    run: async (feeds: Record<string, unknown>, [output = ""]: readonly string[]) => {
      const x = feeds[inputNames[0] ?? ""];
      assert.ok(x instanceof FakeTensor);
      log.fed.push(Array.from(x.data));
      const [count = 0] = x.dims;
      const [length, inputLength] = [form.reduce((product, size) => product * size, 1), x.data.length / count];
      const data = new Float32Array(count * length).map(
        (_, i) => x.data[Math.floor(i / length) * inputLength + (i % length)] ?? NaN,
      );
      return { [output]: { data, dims: [count, ...form] } };
    },
    release: async () => {
      log.released++;
    },
  };
  return { log, runtime: { InferenceSession: { create: async () => session }, Tensor: FakeTensor } };
}

const device = await getDevice("wasm");
const images = Uint8Array.from({ length: 36 }, (_, i) => i);

describe("features of ONNX files", () => {
  it("are vectors, single pixels or first tokens", async () => {
    for (const form of [[4], [4, 1, 1], [3, 4]]) {
      const { runtime, log } = fake(form);
      const extractor = await onnxFeatures(file, options, runtime);
      assert.equal(extractor.dimension, 4);
      const features = await extractor.extract(images, [3, 3, 2, 2]);
      assert.deepEqual(Array.from(features), [0, 1, 2, 3, 12, 13, 14, 15, 24, 25, 26, 27], form.join());
      // The first run tells the dimension; the last image is filled up to a batch.
      assert.deepEqual(
        log.fed.map((fed) => fed.length),
        [24, 24, 24],
      );
      assert.deepEqual(log.fed[2]?.slice(12), new Array(12).fill(0));
      extractor.dispose();
      extractor.dispose();
      assert.equal(log.released, 1);
    }
  });

  it("have fingerprints that depend on the file and on each option, not on the order of options", async () => {
    const fingerprint = async (changed: Partial<OnnxOptions>, of = file): Promise<string> =>
      (await onnxFeatures(of, { ...changed, ...options, ...changed }, fake([4]).runtime)).fingerprint;
    const other = path.join(folder, "other.onnx");
    writeFileSync(other, "other");
    const all = await Promise.all([
      fingerprint({}),
      fingerprint({ mean: [1, 0, 0] }),
      fingerprint({ resize: "bilinear-aligned" }),
      fingerprint({ output: "z" }),
      fingerprint({}, other),
    ]);
    assert.equal(new Set(all).size, all.length);
    assert.equal(await fingerprint({ batch: 2 }), all[0]);
  });

  it("refuse networks of other forms and let go of them", async () => {
    const cases: readonly (readonly [Fake, Partial<OnnxOptions>, object])[] = [
      [fake([4, 2, 2]), {}, { code: "shape", message: /output y is \[2, 4, 2, 2\]/ }],
      [fake([]), {}, { code: "shape", message: /output y is \[2\]/ }],
      [fake([4], ["x", "w"]), {}, { code: "value", message: /has 2 inputs \(x, w\)/ }],
      [fake([4]), { input: "a" }, { code: "value", message: /has no input a, only x/ }],
      [fake([4]), { output: "a" }, { code: "value", message: /has no output a, only y, z/ }],
    ];
    for (const [{ runtime, log }, changed, error] of cases) {
      await assert.rejects(onnxFeatures(file, { ...options, ...changed }, runtime), error);
      assert.equal(log.released, 1);
    }
    const { runtime } = fake([4]);
    await assert.rejects(onnxFeatures(path.join(folder, "missing.onnx"), options, runtime), {
      code: "file",
      message: /missing\.onnx: can't be read/,
    });
    const failing = { ...runtime, InferenceSession: { create: () => Promise.reject(new Error("bad protobuf")) } };
    await assert.rejects(onnxFeatures(file, options, failing), { code: "file", message: /bad protobuf/ });
  });

  it("need onnxruntime-node, or say so", async () => {
    const isInstalled = (() => {
      try {
        return createRequire(import.meta.url).resolve("onnxruntime-node") !== "";
      } catch {
        return false;
      }
    })();
    const make = () => featureExtractor(`onnx-dinov2:${file}`, { channels: 3, resolution: 32 }, { device });
    if (!isInstalled) {
      await assert.rejects(make(), { code: "file", message: /npm install onnxruntime-node/ });
      return;
    }
    const extractor = await make();
    const { mean, deviation } = onnxPresets.dinov2;
    const features = await extractor.extract(new Uint8Array(3 * 32 * 32).fill(200), [1, 3, 32, 32]);
    extractor.dispose();
    for (const c of [0, 1, 2] as const) {
      // The mean of 50,176 equal numbers, summed in float32 one after the other: up to 50,176 * 2^-24 = 3e-3 away.
      const [value, wanted] = [features[c] ?? NaN, (200 - mean[c]) / deviation[c]];
      assert.ok(Math.abs(value - wanted) < 3e-3 * wanted, `${value}, expected ${wanted}`);
    }
  });
});
