import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { EvenkeelError, type Shape, messageOf } from "../../../engine/index.ts";
import { type FeatureExtractor, imageExtents } from "../../metrics/index.ts";
import { imagePreparation, type InputFormat } from "../prepareImages.ts";

type OnnxValue = { readonly data: unknown; readonly dims: readonly number[] };

/** What is used of a session of onnxruntime-node. */
export type OnnxSession = {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<Readonly<Record<string, OnnxValue>>>;
  release(): Promise<void>;
};

/** What is used of onnxruntime-node. */
export type OnnxRuntime = {
  readonly InferenceSession: { create(path: string): Promise<OnnxSession> };
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
};

/** How a network of a file is used. */
export type OnnxOptions = InputFormat & {
  /** What distances of these features are called. */
  readonly distanceName: string;
  /** The input's name. Default: the network's only one. */
  readonly input?: string;
  /** The output's name. Default: the network's first one. */
  readonly output?: string;
  /** Images at a time. Default 8; 1 for networks that were exported for single images. */
  readonly batch?: number;
};

/**
 * What published metrics do before their networks. FID: the InceptionV3 of 2015, values (x - 128) / 128. FD-DINOv2: Stein et al. 2023,
 * resized by Pillow, the mean and deviation of ImageNet.
 */
export const onnxPresets = {
  inception: {
    size: 299,
    resize: "bilinear-tensorflow1",
    mean: [128, 128, 128],
    deviation: [128, 128, 128],
    distanceName: "FID",
  },
  dinov2: {
    size: 224,
    resize: "bicubic-pillow",
    mean: [123.675, 116.28, 103.53],
    deviation: [58.395, 57.12, 57.375],
    distanceName: "FD-DINOv2",
  },
} as const satisfies Readonly<Record<string, OnnxOptions>>;

/** Names of {@link onnxPresets}. */
export type OnnxPreset = keyof typeof onnxPresets;

/**
 * The features of a network in an ONNX file that takes f32 [N, 3, size, size]: its output if that is [N, D] or [N, D, 1, 1]; of
 * [N, tokens, D] the first token, which is that of the class in vision transformers. Whether a distance is an FID depends on the file.
 * @param runtime Default: onnxruntime-node, if it is installed.
 * @throws EvenkeelError `file` without onnxruntime-node, or for a file that it can't read or run, `value` for names of inputs
 * or outputs that the network doesn't have, `shape` for an output of another form.
 * @example
 * ```ts
 * import { writeFile } from "node:fs/promises";
 *
 * // With the package `onnxruntime-node` the first two arguments are enough; this stands for it, and gives every picture two features.
 * const session: OnnxSession = {
 *   inputNames: ["x"],
 *   outputNames: ["y"],
 *   run: () => Promise.resolve({ y: { data: Float32Array.of(0.5, 0.25), dims: [1, 2] } }),
 *   release: () => Promise.resolve(),
 * };
 * const runtime = { InferenceSession: { create: () => Promise.resolve(session) }, Tensor: class {} };
 * await writeFile("network.onnx", "");
 * const extractor = await onnxFeatures("network.onnx", { ...onnxPresets.inception, batch: 1 }, runtime);
 * console.log(extractor.distanceName, await extractor.extract(new Uint8Array(12), [1, 3, 2, 2])); // FID Float32Array(2) [ 0.5, 0.25 ]
 * extractor.dispose();
 * ```
 */
export async function onnxFeatures(
  file: string,
  options: OnnxOptions,
  runtime?: OnnxRuntime,
): Promise<FeatureExtractor> {
  const { InferenceSession, Tensor } = runtime ?? (await loadRuntime());
  const digest = await digestOf(file);
  const session = await InferenceSession.create(file).catch((cause: unknown) => {
    throw new EvenkeelError("file", `${file}: onnxruntime can't read it: ${messageOf(cause)}`, { cause });
  });
  const { size, batch = 8, distanceName } = options;
  try {
    const input = nameOf("input", session.inputNames, options.input, file);
    const output = nameOf("output", session.outputNames, options.output, file);
    const run = async (x: Float32Array): Promise<Features> => {
      const feeds = { [input]: new Tensor("float32", x, [batch, 3, size, size]) };
      const results = await session.run(feeds, [output]).catch((cause: unknown) => {
        const problem = `${file}: onnxruntime can't run it on [${batch}, 3, ${size}, ${size}]: ${messageOf(cause)}`;
        throw new EvenkeelError("file", `${problem} A network for single images needs a batch of 1.`, { cause });
      });
      return featuresOf(results[output], batch, `${file}: output ${output}`);
    };
    // Only a run tells the length of a vector, and whether the network takes what it will be given.
    const { dimension, form } = await run(new Float32Array(batch * 3 * size * size));
    const settings = { ...options, input, output, batch };
    const extract = async (images: Uint8Array, shape: Shape): Promise<Float32Array> => {
      const extents = imageExtents("onnx", images, shape);
      const prepare = imagePreparation(extents, options);
      const features = new Float32Array(extents.count * dimension);
      for (let begin = 0; begin < extents.count; begin += batch) {
        const count = Math.min(batch, extents.count - begin);
        const { values } = await run(prepare(images, begin, count, batch));
        features.set(values.subarray(0, count * dimension), begin * dimension);
      }
      return features;
    };
    let released = false;
    return {
      name: "onnx",
      distanceName,
      fingerprint: createHash("sha256")
        .update(digest)
        .update(JSON.stringify(sorted(settings)))
        .digest("hex")
        .slice(0, 16),
      dimension,
      describe: () => `${form} ${output} of the network ${path.basename(file)}, at ${size}x${size} (${options.resize})`,
      extract,
      dispose: () => {
        if (released) return;
        released = true;
        // Nobody waits for it, and a failure would leave nothing to do.
        session.release().catch(() => undefined);
      },
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

type Features = { readonly dimension: number; readonly values: Float32Array; readonly form: string };

function featuresOf(result: OnnxValue | undefined, batch: number, where: string): Features {
  const dims = result?.dims ?? [];
  const data = result?.data;
  if (!(data instanceof Float32Array)) throw new EvenkeelError("shape", `${where} is not of float32.`);
  const [count, second = 0, third = 0] = dims;
  const isVector = dims.length === 2 || (dims.length === 4 && dims[2] === 1 && dims[3] === 1);
  if (count === batch && isVector && second > 0) return { dimension: second, values: data, form: "output" };
  if (count === batch && dims.length === 3 && second > 0 && third > 0) {
    const values = new Float32Array(batch * third);
    for (let n = 0; n < batch; n++) values.set(data.subarray(n * second * third, (n * second + 1) * third), n * third);
    return { dimension: third, values, form: "first token of" };
  }
  throw new EvenkeelError(
    "shape",
    `${where} is [${dims.join(", ")}]; expected [${batch}, D], [${batch}, D, 1, 1] or [${batch}, tokens, D].`,
  );
}

function nameOf(kind: "input" | "output", names: readonly string[], wanted: string | undefined, file: string): string {
  const known = names.join(", ");
  if (wanted === undefined && kind === "input" && names.length !== 1) {
    throw new EvenkeelError("value", `${file} has ${names.length} inputs (${known}); say which takes the images.`);
  }
  const name = wanted ?? names[0];
  if (name !== undefined && names.includes(name)) return name;
  throw new EvenkeelError("value", `${file} has no ${kind} ${name ?? ""}, only ${known}.`);
}

const sorted = (settings: object): [string, unknown][] =>
  Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

async function digestOf(file: string): Promise<Uint8Array> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(file), hash);
  } catch (cause) {
    throw new EvenkeelError("file", `${file}: can't be read: ${messageOf(cause)}.`, { cause });
  }
  return hash.digest();
}

async function loadRuntime(): Promise<OnnxRuntime> {
  // Not a literal: the package is optional, and its types may be missing.
  const name: string = "onnxruntime-node";
  try {
    const loaded = (await import(name)) as OnnxRuntime & { readonly default?: OnnxRuntime };
    return loaded.default ?? loaded;
  } catch (cause) {
    throw new EvenkeelError(
      "file",
      `features onnx: onnxruntime-node can't be loaded (${messageOf(cause)}). npm install onnxruntime-node; with --ignore-scripts ` +
        "it needs no download beside the package, and computes on the CPU.",
      { cause },
    );
  }
}
