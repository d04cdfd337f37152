/**
 * Writes tensorflowFeatures.json: what TensorFlow.js 4.22 (its wasm backend) computes of the pictures with the networks of nsfwjs 4.3.0.
 *   npm ci --prefix bench && node --import tsx test/diffusion/features/makeFixture.ts
 */
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { NsfwjsName } from "../../../diffusion/features/node.ts";
import { type ExpectedVector, featureCases, fixturePath } from "./fixture.ts";
import type { Pictures } from "./pictures.ts";

/** The part of TensorFlow.js that is used here. */
type TfTensor = { data(): Promise<Float32Array>; toFloat(): TfTensor; div(by: number): TfTensor };
type TfLoader = { readonly load: () => Promise<unknown> };
type TfLayers = {
  readonly inputs: unknown;
  getLayer(name: string): { readonly output: unknown };
  predict(x: TfTensor): TfTensor;
};
type Tf = {
  setBackend(name: string): Promise<boolean>;
  tensor(data: Uint8Array, shape: readonly number[], dtype: string): TfTensor;
  readonly image: { resizeBilinear(x: TfTensor, size: [number, number], alignCorners: boolean): TfTensor };
  loadLayersModel(loader: TfLoader): Promise<TfLayers>;
  loadGraphModel(loader: TfLoader): Promise<{ execute(x: TfTensor, output: string): TfTensor }>;
  model(parts: { readonly inputs: unknown; readonly outputs: unknown }): TfLayers;
};
type ModelModule = {
  readonly modelTopology: unknown;
  readonly weightsManifest: readonly { readonly paths: readonly string[]; readonly weights: readonly unknown[] }[];
};

const benchFolder = fileURLToPath(new URL("../../../bench/", import.meta.url));
const requirePeer = createRequire(path.join(benchFolder, "package.json"));
const tf = requirePeer("@tensorflow/tfjs") as Tf;
const wasm = requirePeer("@tensorflow/tfjs-backend-wasm") as { setWasmPaths(folder: string): void };
wasm.setWasmPaths(`${path.join(benchFolder, "node_modules/@tensorflow/tfjs-backend-wasm/dist")}/`);
if (!(await tf.setBackend("wasm"))) throw new Error("The wasm backend of TensorFlow.js did not start.");

const require = createRequire(import.meta.url);
const modelsFolder = path.join(path.dirname(require.resolve("nsfwjs")), "../models");

function loaderOf(folder: string): TfLoader {
  const { modelTopology, weightsManifest } = require(path.join(modelsFolder, folder, "model.min.js")) as ModelModule;
  const [group] = weightsManifest;
  const shards = (group?.paths ?? []).map((shard) =>
    Buffer.from(require(path.join(modelsFolder, folder, `${shard}.min.js`)) as string, "base64"),
  );
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  return { load: async () => ({ modelTopology, weightSpecs: group?.weights, weightData }) };
}

type Extract = { readonly size: number; readonly features: (x: TfTensor) => TfTensor };

async function layers(folder: string, size: number, layer: string): Promise<Extract> {
  const whole = await tf.loadLayersModel(loaderOf(folder));
  const model = tf.model({ inputs: whole.inputs, outputs: whole.getLayer(layer).output });
  return { size, features: (x) => model.predict(x) };
}

const networks: Readonly<Record<NsfwjsName, () => Promise<Extract>>> = {
  "nsfwjs-mobilenet": async () => {
    const model = await tf.loadGraphModel(loaderOf("mobilenet_v2_mid"));
    const call = "StatefulPartitionedCall";
    const output = `${call}/sequential/keras_layer/${call}/${call}/${call}/predict/feature_vector/SpatialSqueeze`;
    return { size: 224, features: (x) => model.execute(x, output) };
  },
  "nsfwjs-mobilenet-small": () => layers("mobilenet_v2", 224, "flatten_1"),
  "nsfwjs-inception": () => layers("inception_v3", 299, "flatten_1"),
};

/** [N, H, W, 3] of [N, C, H, W]. */
function channelsLast({ shape, values }: Pictures): { readonly shape: readonly number[]; readonly values: Uint8Array } {
  const [count = 0, channels = 0, height = 0, width = 0] = shape;
  const pixels = height * width;
  const moved = Uint8Array.from({ length: count * pixels * 3 }, (_, at) => {
    const [n, pixel, c] = [Math.floor(at / (pixels * 3)), Math.floor(at / 3) % pixels, at % 3];
    return values[(n * channels + (channels === 1 ? 0 : c)) * pixels + pixel] ?? NaN;
  });
  return { shape: [count, height, width, 3], values: moved };
}

const fixture: Record<string, ExpectedVector[]> = {};
for (const [name, { network, pictures }] of Object.entries(featureCases)) {
  const { size, features } = await networks[network]();
  const { shape, values } = channelsLast(pictures());
  const x = tf.tensor(values, shape, "int32").toFloat().div(255);
  const flat = await features(tf.image.resizeBilinear(x, [size, size], true)).data();
  const [count = 0] = shape;
  const dimension = flat.length / count;
  const stride = dimension / 32;
  fixture[name] = Array.from({ length: count }, (_, n) => {
    const vector = flat.subarray(n * dimension, (n + 1) * dimension);
    const chosen = Array.from(
      vector.filter((_value, i) => i % stride === 0),
      (value) => Number(value.toPrecision(8)),
    );
    return { dimension, norm: Number(Math.hypot(...vector).toPrecision(9)), stride, values: chosen };
  });
  console.log(`${name}: ${fixture[name].map(({ norm }) => norm).join(", ")}`);
}
writeFileSync(fixturePath, `${JSON.stringify(fixture, null, 1)}\n`);
