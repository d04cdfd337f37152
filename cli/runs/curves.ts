/** What a run has logged, as curves. */
import { curvesByPlace, type Dynamics, type ReadingKind } from "../../diffusion/dynamics/index.ts";
import type { StatsEntry } from "../../diffusion/run/index.ts";

/** A quantity over a run: images seen, and its value; null where it wasn't finite. */
export type RunCurve = { readonly nimg: readonly number[]; readonly values: readonly (number | null)[] };

/** A quantity at each resolution of encoder and decoder, as in `enc 16x16`, in order of computation. */
export type PlaceCurves = readonly ({ readonly place: string } & RunCurve)[];

/** As JSON can hold it. */
export const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** A quantity of the log, where it is there. */
function statsCurve(stats: readonly StatsEntry[], of: (entry: StatsEntry) => number | null): RunCurve {
  const known = stats.flatMap((entry) => {
    const value = of(entry);
    return value === null ? [] : [{ nimg: entry.nimg, value }];
  });
  return { nimg: known.map(({ nimg }) => nimg), values: known.map(({ value }) => value) };
}

/** The training loss as it is weighted. */
export function lossCurve(stats: readonly StatsEntry[]): RunCurve {
  return statsCurve(stats, (entry) => {
    const loss = entry["Loss/loss"];
    return typeof loss === "object" && loss !== null ? (loss["mean"] ?? null) : null;
  });
}

/** The error of held-out images while a run trained, with the shortest stored average, mean over its own noise levels. */
export function validationCurve(stats: readonly StatsEntry[]): RunCurve {
  return statsCurve(stats, (entry) => {
    const levels = entry["Validation/error"];
    if (typeof levels !== "object" || levels === null) return null;
    const values = Object.values(levels).map((value) => value ?? NaN);
    return finite(values.reduce((sum, value) => sum + value, 0) / values.length);
  });
}

/** Seconds that a run took, all its processes together. */
export function trainingSeconds(stats: readonly StatsEntry[]): number {
  const seconds = stats.at(-1)?.["Timing/total_sec"];
  return typeof seconds === "number" ? seconds : 0;
}

/** Readings of the network place by place; none if nobody looked. */
export function placeCurves(dynamics: Dynamics | null, kind: ReadingKind, how: "mean" | "max"): PlaceCurves {
  if (dynamics === null) return [];
  return curvesByPlace(dynamics, kind, how).map(({ place, nimg, values }) => ({
    place,
    nimg,
    values: values.map(finite),
  }));
}
