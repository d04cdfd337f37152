import { createHash } from "node:crypto";
import * as z from "zod";
import { describeIssues, type StoredTensor } from "../../../engine/io/index.ts";
import { EvenkeelError, tensor, type Tensor } from "../../../engine/index.ts";
import { openSafetensors, writeSafetensors } from "../../../engine/io/node.ts";
import { checkParameters, flattenParameters, type NamedParameters, type ParameterSpec } from "../../../nn/index.ts";
import { classifierExtractor } from "../classifier/extractor.ts";
import { classifierConfig, type ClassifierWeights, describeClassifier } from "../classifier/network.ts";
import type { FeatureExtractor, FeatureOptions } from "../features.ts";

const version = 1;

const headerSchema = z.object({
  version: z.literal(version),
  kind: z.literal("classifier"),
  config: z.object({
    imageChannels: z.int(),
    imageResolution: z.int(),
    classes: z.int(),
    channels: z.array(z.int()),
  }),
  /** Names of the classes, in label order. */
  classNames: z.array(z.string()).readonly().nullable(),
  /** What it was trained on. */
  data: z.object({ name: z.string(), fingerprint: z.string() }),
  /** How it was trained. */
  training: z.record(z.string(), z.union([z.number(), z.boolean()])),
  /** How it does on images that it wasn't trained on; null if none were held out. */
  heldOut: z.object({ images: z.int(), accuracy: z.number(), loss: z.number() }).nullable(),
});

/** What is stored of a classifier beside its weights. */
export type ClassifierInfo = Omit<z.infer<typeof headerSchema>, "version" | "kind" | "config">;

/**
 * Writes a classifier as safetensors F32, with its configuration in the header. @throws EvenkeelError `file` if it can't.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { createDataset } from "evenkeel/diffusion";
 * import { classifierConfig, ClassifierTrainer, defaultClassifierTraining } from "evenkeel/diffusion/metrics";
 *
 * const pixels = new Uint8Array(32).fill(255, 16);
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 4, pixels, labels: [0, 1], classNames: ["black", "white"] });
 * const config = classifierConfig({ imageChannels: 1, imageResolution: 4, classes: 2, channels: [8] });
 * const trainer = await ClassifierTrainer.create(config, defaultClassifierTraining, dataset, await getDevice("wasm"));
 * const info = { classNames: dataset.classNames, data: { name: "two", fingerprint: "" }, training: {}, heldOut: null };
 * await writeClassifier("two.safetensors", { config, weights: await trainer.weights() }, info);
 * trainer.dispose();
 * console.log((await readClassifier("two.safetensors")).info.classNames); // [ 'black', 'white' ]
 * ```
 */
export async function writeClassifier(
  path: string,
  { config, weights }: ClassifierWeights,
  info: ClassifierInfo,
): Promise<void> {
  const header = { version, kind: "classifier", config, ...info };
  await writeSafetensors(
    path,
    Object.entries(weights).map(([name, value]) => [
      name,
      { dtype: "F32", shape: value.shape, data: () => value.data("f32") },
    ]),
    { metadata: { format: "pt", evenkeel: JSON.stringify(header) } },
  );
}

/** A classifier of a file. */
export type StoredClassifier = ClassifierWeights & {
  readonly info: ClassifierInfo;
  /** Digest of its weights. */
  readonly fingerprint: string;
};

/**
 * Reads what {@link writeClassifier} wrote.
 * @throws EvenkeelError `file` for a file that can't be read or holds no classifier, `shape` for weights that don't fit.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { createDataset } from "evenkeel/diffusion";
 * import { classifierConfig, ClassifierTrainer, defaultClassifierTraining } from "evenkeel/diffusion/metrics";
 *
 * const pixels = new Uint8Array(32).fill(255, 16);
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 4, pixels, labels: [0, 1], classNames: ["black", "white"] });
 * const config = classifierConfig({ imageChannels: 1, imageResolution: 4, classes: 2, channels: [8] });
 * const trainer = await ClassifierTrainer.create(config, defaultClassifierTraining, dataset, await getDevice("wasm"));
 * const info = { classNames: null, data: { name: "two", fingerprint: "" }, training: {}, heldOut: null };
 * await writeClassifier("two.safetensors", { config, weights: await trainer.weights() }, info);
 * trainer.dispose();
 * console.log((await readClassifier("two.safetensors")).config.channels); // [ 8 ]
 * ```
 */
export async function readClassifier(path: string): Promise<StoredClassifier> {
  await using file = await openSafetensors(path);
  const { config: given, version: _version, kind: _kind, ...info } = parseHeader(file.metadata.get("evenkeel"), path);
  const config = classifierConfig(given);
  const specs = flattenParameters<ParameterSpec>(describeClassifier(config));
  const stored = new Map<string, StoredTensor>();
  for await (const value of file.tensors()) stored.set(value.name, value);
  checkParameters(specs, stored, path);
  const hash = createHash("sha256").update(JSON.stringify(config));
  const weights: Record<string, Tensor> = {};
  for (const name of Object.keys(specs)) {
    const value = stored.get(name);
    if (value?.dtype !== "F32") throw new EvenkeelError("file", `${path}: ${name} is ${value?.dtype}, expected F32.`);
    hash.update(new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength));
    weights[name] = tensor(value.data, { shape: value.shape });
  }
  return { config, weights: weights satisfies NamedParameters, info, fingerprint: hash.digest("hex").slice(0, 16) };
}

/** The features of a stored classifier. @throws EvenkeelError as `readClassifier`. */
export async function classifierFileFeatures(path: string, { device }: FeatureOptions): Promise<FeatureExtractor> {
  const { info, fingerprint, ...classifier } = await readClassifier(path);
  const { heldOut, data } = info;
  const accuracy =
    heldOut === null ? "" : `, ${(100 * heldOut.accuracy).toFixed(1)}% right of ${heldOut.images} others`;
  const description = `last features of the classifier ${path}, trained on ${data.name}${accuracy}`;
  return classifierExtractor(classifier, fingerprint, description, device);
}

function parseHeader(text: string | undefined, path: string): z.infer<typeof headerSchema> {
  let header: unknown;
  try {
    header = text === undefined ? null : JSON.parse(text);
  } catch (cause) {
    throw new EvenkeelError("file", `${path}: its header of evenkeel's is not JSON.`, { cause });
  }
  const checked = headerSchema.safeParse(header);
  if (checked.success) return checked.data;
  const kind = z.object({ kind: z.string() }).safeParse(header).data?.kind ?? "something else";
  const what = kind === "classifier" ? describeIssues(checked.error) : `it is ${kind}`;
  throw new EvenkeelError("file", `${path} holds no classifier: ${what}. npx evenkeel metrics classifier makes one.`);
}
