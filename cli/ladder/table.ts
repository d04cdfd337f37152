import { summarizeRepeats } from "../../diffusion/metrics/index.ts";
import type { LadderEntry, LadderResults } from "./results.ts";

/** A rung's runs together. */
export type RungSummary = {
  readonly name: string;
  readonly entries: readonly LadderEntry[];
  readonly error: { readonly mean: number; readonly spread: number };
  /** Null if it wasn't measured. */
  readonly distance: { readonly mean: number; readonly spread: number } | null;
  /** Of the best length, mean over seeds. */
  readonly sigmaRel: number;
};

/** Rungs in their order; the spread is the standard deviation over seeds, NaN for one. */
export function summarizeRungs({ entries }: LadderResults): readonly RungSummary[] {
  return [...new Set(entries.map(({ name }) => name))].map((name) => {
    const own = entries.filter((entry) => entry.name === name);
    const of = (values: readonly number[]): { mean: number; spread: number } => {
      const { mean, standardDeviation } = summarizeRepeats(values);
      return { mean, spread: standardDeviation };
    };
    const distances = own.flatMap(({ best }) => best.distance ?? []);
    return {
      name,
      entries: own,
      error: of(own.map(({ best }) => best.error)),
      distance: distances.length === 0 ? null : of(distances),
      sigmaRel: of(own.map(({ best }) => best.sigmaRel)).mean,
    };
  });
}

/** A number with its spread, if there is one: `0.412 ± 0.003`. */
export function withSpread({ mean, spread }: { readonly mean: number; readonly spread: number }): string {
  return Number.isNaN(spread) ? mean.toPrecision(4) : `${mean.toPrecision(4)} ± ${spread.toPrecision(2)}`;
}

/** The ladder as lines of text. */
export function ladderTable(results: LadderResults): string {
  const rows = summarizeRungs(results).map(({ name, entries, error, distance, sigmaRel }) => [
    name,
    (entries[0]?.parameters ?? 0).toLocaleString("en"),
    String(entries[0]?.learningRate ?? ""),
    sigmaRel.toFixed(3),
    withSpread(error),
    distance === null ? "" : withSpread(distance),
  ]);
  const table = [["rung", "parameters", "rate", "best length", "error", "distance"], ...rows];
  const widths = (table[0] ?? []).map((_, i) => Math.max(...table.map((row) => (row[i] ?? "").length)));
  return table
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
