import * as z from "zod";
import { describeIssues } from "../../../engine/io/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { openSafetensors, type SafetensorsReader, writeSafetensors } from "../../../engine/io/node.ts";
import type { FeatureSet } from "../featureSet.ts";

const version = 1;

const headerSchema = z.object({
  version: z.literal(version),
  kind: z.literal("featureStatistics"),
  space: z.object({
    name: z.string(),
    distanceName: z.string(),
    fingerprint: z.string(),
    dimension: z.int().min(1),
  }),
  count: z.int().min(2),
  source: z.string(),
});

/**
 * Writes a set's statistics as safetensors: `mean` F64 [D], `covariance` F64 [D, D] and, if vectors were kept, `features` F32 [K, D]; the
 * header's `evenkeel` is JSON with the features' name, fingerprint and dimension, the number of pictures and where they are from.
 * @throws EvenkeelError `file` if the file system refuses.
 * @example
 * ```ts
 * import { FeatureCollector, pixelFeatures } from "evenkeel/diffusion/metrics";
 *
 * const collector = new FeatureCollector(pixelFeatures(1, 1), 2);
 * await collector.add(Uint8Array.of(0, 255), [2, 1, 1, 1]);
 * await writeStatistics("cats.safetensors", await collector.finish("cats"));
 * console.log((await readStatistics("cats.safetensors")).statistics.count); // 2
 * ```
 */
export async function writeStatistics(path: string, set: FeatureSet): Promise<void> {
  const { space, source, features, statistics } = set;
  const { count, dimension, mean, covariance } = statistics;
  const header: z.infer<typeof headerSchema> = { version, kind: "featureStatistics", space, count, source };
  await writeSafetensors(
    path,
    [
      ["mean", { dtype: "F64", shape: [dimension], data: mean }],
      ["covariance", { dtype: "F64", shape: [dimension, dimension], data: covariance }],
      ...(features.length === 0
        ? []
        : ([["features", { dtype: "F32", shape: [features.length / dimension, dimension], data: features }]] as const)),
    ],
    { metadata: { evenkeel: JSON.stringify(header) } },
  );
}

/**
 * Reads what `writeStatistics` wrote. The set's source becomes the file.
 * @throws EvenkeelError `file` for a file that can't be read, is something else, or is damaged.
 * @example
 * ```ts
 * import { FeatureCollector, pixelFeatures } from "evenkeel/diffusion/metrics";
 *
 * const collector = new FeatureCollector(pixelFeatures(1, 1), 2);
 * await collector.add(Uint8Array.of(0, 255), [2, 1, 1, 1]);
 * await writeStatistics("cats.safetensors", await collector.finish("cats"));
 * const { source, features } = await readStatistics("cats.safetensors");
 * console.log(source, features); // cats.safetensors Float32Array(2) [ -1, 1 ]
 * ```
 */
export async function readStatistics(path: string): Promise<FeatureSet> {
  await using file = await openSafetensors(path);
  const { space, count } = parseHeader(file);
  const { dimension } = space;
  const mean = await float64(file, "mean", [dimension]);
  const covariance = await float64(file, "covariance", [dimension, dimension]);
  const statistics = { count, dimension, mean, covariance };
  return { space, source: path, statistics, features: await keptFeatures(file, dimension, count) };
}

/**
 * Whether a file's name is that of statistics rather than of pictures.
 * @example console.log(isStatisticsFile("cats.safetensors"), isStatisticsFile("cats.zip")); // true false
 */
export function isStatisticsFile(path: string): boolean {
  return path.toLowerCase().endsWith(".safetensors");
}

function parseHeader(file: SafetensorsReader): z.infer<typeof headerSchema> {
  const text = file.metadata.get("evenkeel");
  let header: unknown;
  try {
    header = text === undefined ? null : JSON.parse(text);
  } catch (cause) {
    throw new EvenkeelError("file", `${file.path}: its header of evenkeel's is not JSON.`, { cause });
  }
  const checked = headerSchema.safeParse(header);
  if (checked.success) return checked.data;
  const kind = z.object({ kind: z.string() }).safeParse(header).data?.kind ?? "something else";
  const what = kind === "featureStatistics" ? describeIssues(checked.error) : `it is ${kind}`;
  throw new EvenkeelError(
    "file",
    `${file.path} holds no statistics of features: ${what}. npx evenkeel metrics ref makes them.`,
  );
}

async function float64(file: SafetensorsReader, name: string, shape: readonly number[]): Promise<Float64Array> {
  const tensor = await file.tensor(name);
  if (tensor.dtype !== "F64" || tensor.shape.join() !== shape.join()) {
    throw damaged(file, `${name} is ${tensor.dtype} [${tensor.shape.join(", ")}], not F64 [${shape.join(", ")}]`);
  }
  const bad = tensor.data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw damaged(file, `element ${bad} of ${name} is ${tensor.data[bad]}`);
  return tensor.data;
}

async function keptFeatures(file: SafetensorsReader, dimension: number, count: number): Promise<Float32Array> {
  if (!file.entries.has("features")) return new Float32Array(0);
  const tensor = await file.tensor("features");
  const [kept = 0, width] = tensor.shape;
  if (tensor.dtype !== "F32" || tensor.shape.length !== 2 || width !== dimension || kept > count) {
    throw damaged(
      file,
      `features are ${tensor.dtype} [${tensor.shape.join(", ")}], not F32 with at most ${count} rows of ${dimension}`,
    );
  }
  if (!tensor.data.every(Number.isFinite)) throw damaged(file, "its features aren't all finite");
  return tensor.data;
}

function damaged({ path }: SafetensorsReader, problem: string): EvenkeelError {
  return new EvenkeelError("file", `${path} is damaged: ${problem}. Make it anew by npx evenkeel metrics ref.`);
}
