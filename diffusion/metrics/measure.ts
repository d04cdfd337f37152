import { EvenkeelError, inTurns } from "../../engine/index.ts";
import { type FeatureSet, requireSameSpace } from "./featureSet.ts";
import {
  frechetBias,
  type FrechetDistance,
  type FrechetReference,
  makingReference,
  measuringFrechet,
} from "./frechet.ts";
import { type KidEstimate, type KidOptions, measuringKernels } from "./kid.ts";
import { makingManifold, type NeighbourManifold, measuringShares, type PrecisionRecall } from "./precisionRecall.ts";

/** Every metric: what a lower (or higher) value means stands beside each. */
export const metricNames = [
  /** Lower is better. */
  "frechet",
  /** Lower is better; may be slightly negative. */
  "kid",
  /** Higher is better, up to 1. */
  "precision",
  "recall",
  "density",
  "coverage",
] as const;

/** A metric, as `evenkeel metrics --metrics` names it. */
export type MetricName = (typeof metricNames)[number];

/** One measurement. Absent parts weren't asked for. */
export type Measurement = {
  readonly values: Readonly<Partial<Record<MetricName, number>>>;
  readonly frechet?: FrechetDistance & {
    /** What pictures of the reference's own distribution would be expected to get, by their number alone; see `frechetBias`. */
    readonly bias: number;
  };
  readonly kid?: KidEstimate;
  readonly precisionRecall?: PrecisionRecall & { readonly count: number; readonly referenceCount: number };
};

/** Options of a measurement. */
export type MeasureOptions = {
  readonly kid?: KidOptions;
  /** Vectors of each set for precision and recall, at most; their number matters. Default 5000. */
  readonly precisionCount?: number;
  /** Neighbours of precision and recall. Default 3. */
  readonly neighbours?: number;
};

/** Sets of pictures against one reference; what can be computed of it once is. */
export class MetricMeter {
  /** What all sets are measured against. */
  readonly reference: FeatureSet;
  #frechet: FrechetReference | undefined;
  readonly #manifolds = new Map<string, NeighbourManifold>();

  constructor(reference: FeatureSet) {
    this.reference = reference;
  }

  /**
   * @throws EvenkeelError `value` for a set in another space of features, for a reference without vectors where a metric needs them, and
   * for too few vectors.
   */
  async measure(set: FeatureSet, metrics: readonly MetricName[], options: MeasureOptions = {}): Promise<Measurement> {
    requireSameSpace(this.reference, set.space);
    const { dimension } = set.space;
    const frechet = metrics.includes("frechet") ? await this.#measureFrechet(set) : undefined;
    const kid = metrics.includes("kid")
      ? await inTurns(measuringKernels(this.#vectors(set), this.#vectors(this.reference), dimension, options.kid))
      : undefined;
    const isWanted = (name: MetricName): name is keyof PrecisionRecall =>
      name === "precision" || name === "recall" || name === "density" || name === "coverage";
    const shares = metrics.some(isWanted) ? await this.#measureShares(set, options) : undefined;
    const values: Partial<Record<MetricName, number>> = {};
    for (const name of metrics) {
      const value = isWanted(name) ? shares?.[name] : name === "kid" ? kid?.mean : frechet?.distance;
      if (value !== undefined) values[name] = value;
    }
    return {
      values,
      ...(frechet === undefined ? {} : { frechet }),
      ...(kid === undefined ? {} : { kid }),
      ...(shares === undefined ? {} : { precisionRecall: shares }),
    };
  }

  async #measureFrechet(set: FeatureSet): Promise<FrechetDistance & { readonly bias: number }> {
    const reference = (this.#frechet ??= await inTurns(makingReference(this.reference.statistics)));
    const bias = frechetBias(reference, set.statistics.count);
    return { ...(await inTurns(measuringFrechet(set.statistics, reference))), bias };
  }

  async #measureShares(set: FeatureSet, options: MeasureOptions): Promise<NonNullable<Measurement["precisionRecall"]>> {
    const { dimension } = set.space;
    const { precisionCount = 5000, neighbours = 3 } = options;
    const some = (features: Float32Array): Float32Array => features.subarray(0, precisionCount * dimension);
    const manifoldOf = (vectors: Float32Array): Promise<NeighbourManifold> =>
      inTurns(makingManifold(some(vectors), dimension, neighbours));
    const own = await manifoldOf(this.#vectors(set));
    const key = `${precisionCount} ${neighbours}`;
    const other = this.#manifolds.get(key) ?? (await manifoldOf(this.#vectors(this.reference)));
    this.#manifolds.set(key, other);
    return { ...(await inTurns(measuringShares(own, other))), count: own.count, referenceCount: other.count };
  }

  #vectors({ features, source }: FeatureSet): Float32Array {
    if (features.length > 0) return features;
    throw new EvenkeelError(
      "value",
      `${source} holds statistics alone, without vectors: enough for frechet, not for the other metrics. Make it anew by ` +
        "npx evenkeel metrics ref with --keep.",
    );
  }
}

/**
 * Why a measurement should be read with care; empty if there is no reason.
 * @example
 * ```ts
 * const collector = new FeatureCollector(pixelFeatures(1, 2), 3);
 * await collector.add(Uint8Array.of(0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144), [3, 1, 2, 2]);
 * const set = await collector.finish("mine");
 * const [warning = ""] = measurementWarnings(set, set, await new MetricMeter(set).measure(set, ["frechet"]));
 * console.log(warning.split(":").slice(0, 2)); // [ 'mine', ' 3 pictures for 4 features' ]
 * ```
 */
export function measurementWarnings(
  set: FeatureSet,
  reference: FeatureSet,
  { frechet }: Measurement,
): readonly string[] {
  if (frechet === undefined) return [];
  const { dimension, distanceName } = set.space;
  const warnings: string[] = [];
  const bias = frechet.bias.toPrecision(3);
  for (const { statistics, source } of [set, reference]) {
    if (statistics.count > dimension) continue;
    warnings.push(
      `${source}: ${statistics.count} pictures for ${dimension} features: their covariance is singular, and ${distanceName} is ` +
        `biased upwards (pictures of the reference's own distribution would get about ${bias}). Compare only with numbers of ` +
        "equally many pictures; kid has no bias.",
    );
  }
  if (warnings.length === 0 && frechet.bias > 0.1 * Math.abs(frechet.distance)) {
    warnings.push(
      `${distanceName} is biased upwards by about ${bias}, because ${set.statistics.count} pictures were compared with ` +
        `${reference.statistics.count}. Use more, or compare only with numbers of equally many.`,
    );
  }
  return warnings;
}

/** A number measured several times. */
export type RepeatedMeasurement = {
  readonly mean: number;
  /** Of a single measurement; NaN if there is only one. */
  readonly standardDeviation: number;
  /** Of the mean. */
  readonly standardError: number;
  readonly minimum: number;
  readonly values: readonly number[];
};

/**
 * Mean and spread of repeated measurements.
 * @example
 * ```ts
 * const { mean, standardDeviation, minimum } = summarizeRepeats([1, 2, 3]);
 * console.log(mean, standardDeviation, minimum); // 2 1 1
 * ```
 */
export function summarizeRepeats(values: readonly number[]): RepeatedMeasurement {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const standardDeviation = values.length < 2 ? Number.NaN : Math.sqrt(squares / (values.length - 1));
  const standardError = standardDeviation / Math.sqrt(values.length);
  return { mean, standardDeviation, standardError, minimum: Math.min(...values), values };
}
