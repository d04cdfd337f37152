import type { Measurement } from "./interleave.ts";
import { ratioTo, type Row } from "./row.ts";
import type { Target } from "./targets.ts";

/** Three significant digits without an exponent. */
function digits(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return value >= 100
    ? value.toFixed(0)
    : value >= 10
      ? value.toFixed(1)
      : value >= 1
        ? value.toFixed(2)
        : value.toFixed(3);
}

function valueOf(row: Row, value: number): string {
  if (row.measure === "bytes") return digits(value / 2 ** 20);
  return digits(value * 1e3);
}

function rateOf({ quantity }: Row, { median }: Measurement): string {
  return quantity === undefined ? "" : `${digits(quantity.amount / median)} ${quantity.unit}/s`;
}

function cells(row: Row, isSpeed: boolean): string[] {
  const unit = row.measure === "bytes" ? "MiB" : "ms";
  return [
    ...row.measurements.map((measurement, i) => {
      const { contender, median, min, max, samples } = measurement;
      const range = `${valueOf(row, median)} ${unit} (${valueOf(row, min)}-${valueOf(row, max)}, ${samples})`;
      const isCopy = i > 0 && contender === row.share?.of;
      const ratio = isCopy || !isSpeed ? "" : digits(ratioTo(row, contender) ?? NaN);
      const rate = isCopy || !isSpeed ? "" : rateOf(row, measurement);
      const remark = !isSpeed ? "no speed" : i === 0 ? remarkOf(row) : "";
      return `| ${row.name} | ${contender} | ${range} | ${rate} | ${ratio} | ${remark} |`;
    }),
    ...row.absent.map(
      ({ contender, reason }) => `| ${row.name} | ${contender} | not here | | | ${reason.split("\n")[0] ?? ""} |`,
    ),
  ];
}

function remarkOf({ share, note }: Row): string {
  const parts = share === undefined ? [] : [`${digits(share.value)} of the bandwidth of a ${share.of}`];
  return [...parts, ...(note === undefined ? [] : [note])].join("; ");
}

/**
 * Every row as a Markdown table: median, range and samples, rate, and the ratio theirs / ours.
 * @param isSpeed whether the times are speeds: of those of software adapters there are no rates and ratios
 */
export function measurementTable(rows: readonly Row[], isSpeed = true): string {
  return [
    "| work | engine | median (min-max, samples) | rate | ratio | |",
    "|---|---|---|---|---|---|",
    ...rows.flatMap((row) => cells(row, isSpeed)),
  ].join("\n");
}

/** What was to be reached and what was measured. */
export function targetTable(targets: readonly Target[], rows: readonly Row[]): string {
  const lines = targets.map(({ what, must, aim, isLimit = false, measured }) => {
    const value = measured(rows);
    const reaches = (goal: number): boolean => value !== undefined && (isLimit ? value <= goal : value >= goal);
    const verdict = value === undefined ? "not measured" : reaches(aim) ? "aim" : reaches(must) ? "must" : "missed";
    const most = isLimit ? "at most " : "";
    return `| ${what} | ${most}${must} | ${most}${aim} | ${value === undefined ? "" : digits(value)} | ${verdict} |`;
  });
  return ["| target | must | aim | measured | reached |", "|---|---|---|---|---|", ...lines].join("\n");
}
