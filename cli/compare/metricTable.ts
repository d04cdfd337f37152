/** Metrics of generated images, as a comparison tells them beside its verdicts. */
import type { Pair, PairedScale } from "../../diffusion/comparison/index.ts";
import type { MetricName } from "../../diffusion/metrics/index.ts";
import type { ComparedMetric, ComparisonResults, ResultsSamples } from "./results.ts";
import { inPercent } from "./words.ts";

type Kind = { readonly scale: PairedScale; readonly better: "lower" | "higher" };

/** Ratios only of what is above 0 by itself: kid's estimate may be negative, shares may be 0. */
const kinds: Readonly<Record<MetricName, Kind>> = {
  frechet: { scale: "ratio", better: "lower" },
  kid: { scale: "difference", better: "lower" },
  precision: { scale: "difference", better: "higher" },
  recall: { scale: "difference", better: "higher" },
  density: { scale: "difference", better: "higher" },
  coverage: { scale: "difference", better: "higher" },
};

/** How a metric's values are compared. Rounding may leave a distance of nothing at 0 or below, which has no ratio. */
export function scaleOf(metric: MetricName, pairs: readonly Pair[]): PairedScale {
  const isPositive = pairs.every(({ changed, base }) => changed > 0 && base > 0);
  return isPositive ? kinds[metric].scale : "difference";
}

/** What stands above each of the columns. */
export const metricColumns = ["change", "metric", "better", "base", "change's", "by", "interval", "pairs"] as const;

/** A row for each metric of each change, a text for each column. */
export function metricRows({ changes, samples }: ComparisonResults): readonly (readonly string[])[] {
  return changes.flatMap(({ change, metrics }) =>
    metrics.map((compared) => {
      const { metric, base, changed, pairs } = compared;
      const name = metric === "frechet" ? (samples?.space?.distanceName ?? metric) : metric;
      return [change, name, kinds[metric].better, number(base), number(changed), ...sizes(compared), String(pairs)];
    }),
  );
}

/** What the numbers are of, and what they aren't. */
export function metricNotes({ level, changes }: ComparisonResults, samples: ResultsSamples): readonly string[] {
  const { images, steps, space, metrics } = samples;
  if (space === null) return ["Metrics of generated images: none, as no pair has images on both sides."];
  const biased = metrics.filter((metric) => metric !== "kid");
  const count = images.toLocaleString("en");
  const several =
    metrics.length * changes.length === 1
      ? `The interval holds by itself with ${percentOf(level)}.`
      : `These are several intervals, each at its own level of ${percentOf(level)}: they are not corrected for being several.`;
  return [
    `Metrics of ${count} generated images of each run, in ${steps} steps; both runs of a pair begin with the same noise. Features: ` +
      `${space.name}, ${space.dimension} numbers (${space.description}), against ${space.references.toLocaleString("en")} images of the data.`,
    ...(biased.length === 0
      ? []
      : [
          `${biased.join(", ")} ${biased.length === 1 ? "depends" : "depend"} on the number of images: ${count} on both sides here; hold the values ` +
            "against no others.",
        ]),
    `The verdict is by the held-out error alone; these stand beside it. ${several}`,
  ];
}

/** The table and its notes, for a terminal. */
export function metricLines(results: ComparisonResults): readonly string[] {
  const { samples } = results;
  if (samples === null) return [];
  const notes = metricNotes(results, samples);
  if (samples.space === null) return notes;
  const table = [metricColumns, ...metricRows(results)];
  const widths = metricColumns.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [...notes, ...lines];
}

/** By how much it differs, and the interval. */
function sizes({ scale, value, low, high, pairs }: ComparedMetric): readonly [by: string, interval: string] {
  if (pairs === 0) return ["", "no pair has images on both sides"];
  const by = scale === "ratio" ? inPercent : signed;
  const isKnown = Number.isFinite(high) && (scale === "ratio" ? low > 0 : Number.isFinite(low));
  return [by(value), isKnown ? `${by(low)} to ${by(high)}` : "not known yet"];
}

const percentOf = (share: number): string => `${Number((100 * share).toPrecision(4))} %`;

const signed = (value: number): string => `${value < 0 ? "-" : "+"}${number(Math.abs(value), 3)}`;

function number(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return "";
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(digits - 1) : value.toPrecision(digits);
}
