import {
  type FeatureExtractor,
  type FeatureSet,
  type Measurement,
  measurementWarnings,
  type MetricName,
  type RepeatedMeasurement,
  summarizeRepeats,
} from "../../diffusion/metrics/index.ts";

/** What `evenkeel metrics calc` and `gen` found; printed as it is by --json. */
export type MetricsReport = {
  readonly features: {
    readonly name: string;
    readonly distanceName: string;
    readonly fingerprint: string;
    readonly dimension: number;
    readonly description: string;
  };
  readonly reference: { readonly source: string; readonly count: number };
  /** `count` in each of the repeats. */
  readonly images: { readonly source: string; readonly count: number; readonly repeats: number };
  readonly metrics: Readonly<Partial<Record<MetricName, RepeatedMeasurement>>>;
  /** One for each repeat. */
  readonly measurements: readonly Measurement[];
  readonly warnings: readonly string[];
};

/** One report of repeated measurements against a reference. `sets` without vectors suffice. */
export function metricsReport(
  extractor: FeatureExtractor,
  reference: FeatureSet,
  sets: readonly FeatureSet[],
  measurements: readonly Measurement[],
  metrics: readonly MetricName[],
): MetricsReport {
  const { name, distanceName, fingerprint, dimension } = extractor;
  const summaries: Partial<Record<MetricName, RepeatedMeasurement>> = {};
  for (const metric of metrics) {
    summaries[metric] = summarizeRepeats(measurements.map(({ values }) => values[metric] ?? Number.NaN));
  }
  const [set] = sets;
  const [first] = measurements;
  return {
    features: { name, distanceName, fingerprint, dimension, description: extractor.describe() },
    reference: { source: reference.source, count: reference.statistics.count },
    images: { source: set?.source ?? "", count: set?.statistics.count ?? 0, repeats: sets.length },
    metrics: summaries,
    measurements,
    warnings: set === undefined || first === undefined ? [] : measurementWarnings(set, reference, first),
  };
}

/** The report as lines. */
export function describeReport({ features, reference, images, metrics, measurements }: MetricsReport): string {
  const line = (name: string, text: string): string => `${name.padEnd(18)} ${text}`;
  const times = images.repeats === 1 ? "" : `, ${images.repeats} times others`;
  const lines = [
    line("features", `${features.name}, ${features.dimension} numbers: ${features.description}`),
    line("reference", `${reference.source}: ${reference.count} pictures`),
    line("measured", `${images.source}: ${images.count} pictures${times}`),
  ];
  for (const [metric, repeated] of Object.entries(metrics)) {
    lines.push(line(metric === "frechet" ? features.distanceName : metric, describeRepeated(repeated)));
    const first = measurements[0]?.frechet;
    if (metric === "frechet" && first !== undefined) {
      const parts = `means ${format(first.means)}, covariances ${format(first.covariances)}`;
      lines.push(line("", `${parts}; equal Gaussian distributions would give about ${format(first.bias)}`));
    }
  }
  return lines.join("\n");
}

function describeRepeated({ mean, standardDeviation, minimum, values }: RepeatedMeasurement): string {
  if (values.length === 1) return format(mean);
  return `${format(mean)} +- ${standardDeviation.toPrecision(2)} (deviation of ${values.length}; lowest ${format(minimum)})`;
}

function format(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(3) : value.toPrecision(5);
}
