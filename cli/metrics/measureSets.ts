import {
  type FeatureExtractor,
  type FeatureSet,
  type Measurement,
  MetricMeter,
  type MetricName,
} from "../../diffusion/metrics/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import type { ReadShard } from "../shards/readShard.ts";
import { describeShard } from "../shards/shardOption.ts";
import { WorkProgress } from "../workProgress.ts";
import { FeatureParts } from "./featureParts.ts";
import { featuresOf, referenceCount, referenceSet } from "./featureSets.ts";
import type { OnImages, PictureSource } from "./pictureSource.ts";
import { describeReport, metricsReport } from "./report.ts";

/** Options of everything that takes features, as the command line gives them. */
export type PartsFlags = {
  readonly batch: number;
  readonly parts?: string | undefined;
  readonly shard?: ReadShard | undefined;
};

export type MeasureFlags = PartsFlags & {
  readonly ref: string;
  readonly features: string;
  readonly metrics: readonly MetricName[];
  readonly repeats: number;
  readonly kidSubsets: number;
  readonly kidSize?: number | undefined;
  readonly precisionCount: number;
  readonly json?: true | undefined;
};

export const [defaultKidSubsets, defaultPrecisionCount] = [20, 5000] as const;

/** Pictures that are measured, and what decides which they are. */
export type MeasuredSets = {
  /** The set of one of the repeats. @param references how many pictures the reference has */
  readonly sourceOf: (repeat: number, references: number) => PictureSource;
  readonly plan: () => Promise<Readonly<Record<string, unknown>>>;
};

/** Measures `repeats` sets against the reference and prints the report; with a shard makes that share of their features. */
export async function measureSets(extractor: FeatureExtractor, flags: MeasureFlags, sets: MeasuredSets): Promise<void> {
  const { metrics, batch, repeats, kidSubsets, kidSize, precisionCount } = flags;
  for (const line of idleMetricSettings(flags)) console.error(line);
  const onImages = imageProgress();
  const parts = await partsOf(extractor, flags, async () => ({ repeats, ...(await sets.plan()) }), onImages);
  if (parts !== undefined && flags.shard !== undefined) {
    const references = await referenceCount(flags.ref);
    const sources = Array.from({ length: repeats }, (_, repeat) => sets.sourceOf(repeat, references));
    return parts.makeShare(sources, flags.shard.shard);
  }
  const kept = metrics.every((name) => name === "frechet") ? 0 : Infinity;
  const options = { kept, batch, onImages };
  const reference = await referenceSet(flags.ref, extractor, { ...options, kept: kept === 0 ? 0 : 10000 });
  const meter = new MetricMeter(reference);
  const measured: FeatureSet[] = [];
  const measurements: Measurement[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const source = sets.sourceOf(repeat, reference.statistics.count);
    const set = await featuresOf(extractor, source, options, parts && { of: parts, set: repeat });
    const kid = { subsets: kidSubsets, seed: repeat, ...(kidSize === undefined ? {} : { subsetSize: kidSize }) };
    measurements.push(await meter.measure(set, metrics, { kid, precisionCount }));
    // The vectors have been used and may be large.
    measured.push({ ...set, features: new Float32Array(0) });
  }
  const report = metricsReport(extractor, reference, measured, measurements, metrics);
  for (const warning of report.warnings) console.error(`warning: ${warning}`);
  console.log(flags.json === true ? JSON.stringify(report, null, 2) : describeReport(report));
}

/**
 * The folder in which processes share features, if there is one.
 * @throws EvenkeelError `value` for a shard without a folder, or a folder of other pictures or features
 */
export async function partsOf(
  extractor: FeatureExtractor,
  { parts: folder, shard, batch }: PartsFlags,
  plan: () => Promise<Readonly<Record<string, unknown>>>,
  onImages: OnImages,
): Promise<FeatureParts | undefined> {
  const print = (line: string): void => console.error(line);
  if (shard !== undefined) print(describeShard(shard));
  if (folder !== undefined) {
    return FeatureParts.open({ folder, extractor, batch, plan: await plan(), print, onImages });
  }
  if (shard === undefined) return undefined;
  throw new EvenkeelError(
    "value",
    "metrics: --shard makes a share of the features: say by --parts FOLDER where all processes put them.",
  );
}

/** Options that change nothing beside the metrics that were asked for, a line each. */
function idleMetricSettings({ metrics, kidSubsets, kidSize, precisionCount }: MeasureFlags): readonly string[] {
  const measures = (...names: readonly MetricName[]): boolean => names.some((name) => metrics.includes(name));
  const isKidSet = kidSubsets !== defaultKidSubsets || kidSize !== undefined;
  const isCountSet = precisionCount !== defaultPrecisionCount;
  return [
    ...(isKidSet && !measures("kid")
      ? ["--kid-subsets or --kid-size changes nothing: kid isn't measured (--metrics)"]
      : []),
    ...(isCountSet && !measures("precision", "recall", "density", "coverage")
      ? ["--precision-count changes nothing: none of precision, recall, density, coverage is measured (--metrics)"]
      : []),
  ];
}

/** Shows how many pictures of a source are done, if that takes a while. */
export function imageProgress(): OnImages {
  const progress = new WorkProgress();
  return (source, done, total) => {
    progress.at(`features of ${source}`, done, total);
    if (done === total) progress.end();
  };
}
