import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import * as z from "zod";
import { describeIssues } from "../../../engine/io/index.ts";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import type { FeatureExtractor, FeatureOptions } from "../../metrics/index.ts";
import { readGraphTopology } from "../graphTopology.ts";
import { readKerasTopology } from "../kerasTopology.ts";
import type { NetworkArrays, LoadedNetwork } from "../network.ts";
import { networkExtractor } from "../networkExtractor.ts";
import { decodeWeights, weightsManifestSchema } from "../quantizedWeights.ts";
import { cacheFolder } from "./cacheFolder.ts";
import { readNetwork, writeNetwork } from "./networkFile.ts";

/** The version whose files are known. */
const packageVersion = "4.3.0";

/** Increased when a conversion gives other weights than before. */
const conversion = 1;

type Model = {
  /** Folder in the package. */
  readonly folder: string;
  readonly architecture: string;
  readonly distanceName: string;
  readonly read: (topology: unknown, arrays: NetworkArrays, output: string, model: string) => LoadedNetwork;
  /** The pooling whose result are the features. */
  readonly output: string;
  readonly batch: number;
};

const call = "StatefulPartitionedCall";

const models = {
  "nsfwjs-mobilenet": {
    folder: "mobilenet_v2_mid",
    architecture: "MobileNetV2 1.4",
    distanceName: "FD-MobileNetV2",
    read: readGraphTopology,
    output: `${call}/sequential/keras_layer/${call}/${call}/${call}/predict/MobilenetV2/Logits/AvgPool`,
    batch: 8,
  },
  "nsfwjs-mobilenet-small": {
    folder: "mobilenet_v2",
    architecture: "MobileNetV2 1.0",
    distanceName: "FD-MobileNetV2-small",
    read: readKerasTopology,
    output: "average_pooling2d_1",
    batch: 8,
  },
  "nsfwjs-inception": {
    folder: "inception_v3",
    architecture: "InceptionV3",
    distanceName: "FD-InceptionV3-nsfwjs",
    read: readKerasTopology,
    output: "average_pooling2d_10",
    batch: 4,
  },
} satisfies Readonly<Record<string, Model>>;

/** The networks of the npm package nsfwjs. */
export type NsfwjsName = keyof typeof models;

/** Their names. */
export const nsfwjsNames = Object.keys(models) as readonly NsfwjsName[];

/**
 * The features of a network of the npm package nsfwjs 4.3.0 (MIT), which classifies pictures as safe for work or not: the mean over
 * pixels of its last convolutional layer. Its weights are stored there as bytes; they are converted once, without TensorFlow.js, and kept
 * in `cacheFolder`. Distances in these spaces are no FID: the weights are others than those.
 * @throws EvenkeelError `file` if the package isn't installed, is of another version or damaged, or the cache can't be written.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 *
 * // Needs the package `nsfwjs`, whose weights are converted at the first call.
 * const extractor = await nsfwjsFeatures("nsfwjs-mobilenet-small", { device: await getDevice("wasm") });
 * const features = await extractor.extract(new Uint8Array(2 * 3 * 16 * 16), [2, 3, 16, 16]);
 * console.log(extractor.dimension, features.length); // 1280 2560
 * extractor.dispose();
 * ```
 */
export async function nsfwjsFeatures(name: NsfwjsName, { device, print }: FeatureOptions): Promise<FeatureExtractor> {
  const { architecture, distanceName, batch } = models[name];
  const { loaded, source } = await loadNsfwjs(name, print);
  const { size } = loaded.network;
  const description =
    `${architecture} of the npm package nsfwjs ${packageVersion} (a classifier of unsafe pictures, weights of 8 bits): ` +
    `the mean of its last convolution, of pictures resized bilinearly to ${size}x${size}; not the network of FID`;
  return networkExtractor(loaded, { name, distanceName, fingerprint: source.slice(0, 16), description }, batch, device);
}

/** A network and the digest of its files. @throws EvenkeelError as {@link nsfwjsFeatures}. */
export async function loadNsfwjs(
  name: NsfwjsName,
  print: (line: string) => void = () => undefined,
): Promise<{ readonly loaded: LoadedNetwork; readonly source: string }> {
  const model: Model = models[name];
  const folder = path.join(await packageFolder(), "dist", "models", model.folder);
  const source = await digestOf(folder);
  const cached = path.join(await cacheFolder(), `${name}-${source.slice(0, 16)}.safetensors`);
  const exists = await fs.access(cached).then(
    () => true,
    () => false,
  );
  if (exists) {
    try {
      return { loaded: await readNetwork(cached, source), source };
    } catch (error) {
      if (!(error instanceof EvenkeelError)) throw error;
      print(`${error.message} Converting again.`);
    }
  }
  print(`converting the weights of ${model.architecture} to ${cached}`);
  const loaded = convert(folder, model);
  await writeNetwork(cached, loaded, source);
  return { loaded, source };
}

const require = createRequire(import.meta.url);

/** The folder of the installed package. */
async function packageFolder(): Promise<string> {
  let entry: string;
  try {
    entry = require.resolve("nsfwjs");
  } catch (cause) {
    throw new EvenkeelError(
      "file",
      "features nsfwjs: the npm package nsfwjs is not installed. " +
        `npm install --legacy-peer-deps nsfwjs@${packageVersion} (41 MB; without TensorFlow.js, which isn't needed).`,
      { cause },
    );
  }
  // Its entry is dist/cjs/index.js; the package doesn't export its package.json.
  const folder = path.resolve(path.dirname(entry), "..", "..");
  const info = z
    .object({ version: z.string() })
    .parse(JSON.parse(await fs.readFile(path.join(folder, "package.json"), "utf8")));
  if (info.version !== packageVersion) {
    throw new EvenkeelError(
      "file",
      `features nsfwjs: version ${info.version} is installed, expected ${packageVersion}, so that numbers can be compared.`,
    );
  }
  return folder;
}

/** Of the files of a model, in the order of their names, and the version of the conversion. */
async function digestOf(folder: string): Promise<string> {
  const hash = createHash("sha256").update(`conversion ${conversion}\n`);
  try {
    for (const file of (await fs.readdir(folder)).filter((entry) => entry.endsWith(".js")).sort()) {
      const bytes = await fs.readFile(path.join(folder, file));
      hash.update(`${file} ${bytes.length}\n`).update(bytes);
    }
  } catch (cause) {
    const why = messageOf(cause);
    throw new EvenkeelError("file", `${folder}: can't be read: ${why}.`, { cause });
  }
  return hash.digest("hex");
}

const moduleSchema = z.object({ modelTopology: z.unknown(), weightsManifest: weightsManifestSchema });

/** Each file is a CommonJS module: of the description an object, of a shard its bytes in base64. */
function convert(folder: string, { read, output, architecture }: Model): LoadedNetwork {
  const load = (file: string): unknown => {
    const place = path.join(folder, file);
    const value: unknown = require(place);
    // Not kept: shards are large and not needed again.
    Reflect.deleteProperty(require.cache, place);
    return value;
  };
  const checked = moduleSchema.safeParse(load("model.min.js"));
  if (!checked.success) throw new EvenkeelError("file", `${folder}: no model: ${describeIssues(checked.error)}`);
  const { modelTopology, weightsManifest } = checked.data;
  const groups = weightsManifest.map(({ paths }) =>
    Buffer.concat(
      paths.map((shard) => {
        const text = load(`${shard}.min.js`);
        if (typeof text === "string") return Buffer.from(text, "base64");
        throw new EvenkeelError("file", `${folder}: ${shard} is a module of ${typeof text}, expected text in base64.`);
      }),
    ),
  );
  return read(modelTopology, decodeWeights(weightsManifest, groups, architecture), output, architecture);
}
