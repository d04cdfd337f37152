import type { ComparedChange, ComparisonResults } from "./results.ts";

/** A ratio as a change in percent: `-3.2 %`. */
export function inPercent(ratio: number): string {
  if (!Number.isFinite(ratio)) return ratio > 0 ? "anything" : "nothing";
  const percent = 100 * (ratio - 1);
  const size = Math.abs(percent);
  return `${percent < 0 ? "-" : "+"}${size < 999.5 ? size.toPrecision(size < 10 ? 2 : 3) : size.toFixed(0)} %`;
}

/** What is known of a change, in words: the verdict, how large the difference is, and by how much chance moves a pair. */
export function verdictText(compared: ComparedChange, { margin, level }: ComparisonResults): string {
  const { change, verdict, ratio, low, high, seeds, pairedDeviation, unpairedDeviation } = compared;
  const pairs = `${seeds.length} ${seeds.length === 1 ? "pair" : "pairs"}`;
  if (verdict === "diverges") return `${change} diverges: an error isn't finite where the base's is (${pairs}).`;
  if (seeds.length < 2) return `${change}: error ${inPercent(ratio)} in one pair, which says nothing about chance.`;
  const percent = `${Number((100 * margin).toPrecision(3))} %`;
  const size = `error ${inPercent(ratio)}`;
  const interval =
    low > 0 && Number.isFinite(high)
      ? `, between ${inPercent(low)} and ${inPercent(high)} with ${Number((100 * level).toPrecision(4))} %`
      : ", which may be chance altogether";
  const chance =
    ` By chance a pair's ratio varies by ${(100 * pairedDeviation).toPrecision(2)} %, ` +
    `that of runs that share no random numbers by ${(100 * unpairedDeviation).toPrecision(2)} %.`;
  switch (verdict) {
    case "better":
    case "worse":
      return `${change} is ${verdict}: ${size}${interval} (${pairs}).${chance}`;
    case "same":
      return `${change} makes no difference above ${percent}: ${size}${interval} (${pairs}).${chance}`;
    case "undecided":
      return `${change} can't be told from the base yet: ${size}${interval} (${pairs}). More pairs would tell (--pairs).${chance}`;
  }
}
