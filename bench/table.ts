import { nameOf, rateOf, type Work } from "./work.ts";

/** Seconds a run. */
export type Measurement = {
  readonly contender: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
};

export type Row = { readonly work: Work; readonly measurements: readonly Measurement[] };

/** Median time, rate and ratio (theirs / ours) of each contender as a Markdown table; the first contender is ours. */
export function measurementTable(rows: readonly Row[]): string {
  const lines = rows.flatMap(({ work, measurements }) => {
    const ours = measurements[0];
    return measurements.map(({ contender, median, min, max, samples }) => {
      const { value, unit } = rateOf(work, median);
      const ratio = ours === undefined ? "" : (median / ours.median).toFixed(2);
      const time = `${(median * 1e3).toFixed(2)} (${(min * 1e3).toFixed(2)}-${(max * 1e3).toFixed(2)}, ${samples})`;
      return `| ${nameOf(work)} | ${contender} | ${time} | ${value.toFixed(2)} ${unit} | ${ratio} |`;
    });
  });
  return ["| work | engine | ms: median (min-max, samples) | rate | ratio |", "|---|---|---|---|---|", ...lines].join(
    "\n",
  );
}
