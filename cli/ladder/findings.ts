import type { Pair } from "../../diffusion/comparison/index.ts";
import { type ConfigurationName, configurationNames } from "../../nn/index.ts";
import { type Comparison, comparePairs, compareRatios, geometricMean, isLarger, type Verdict } from "./comparison.ts";
import type { LadderEntry, LadderResults } from "./results.ts";

/** Something the paper found, and whether it shows in a ladder's numbers. */
export type Finding = {
  readonly paper: string;
  readonly verdict: Verdict;
  /** The numbers that the verdict rests on, or what is missing. */
  readonly sentence: string;
};

/** FID of the paper's ladder, Tab. 1. */
export const paperDistances: Readonly<Record<ConfigurationName, number>> = {
  A: 8.0,
  B: 7.24,
  C: 6.96,
  D: 3.75,
  E: 3.02,
  F: 2.71,
  G: 2.56,
};

/** Runs of the given configurations as they are, nothing switched. */
export function plainRuns(
  { entries }: Pick<LadderResults, "entries">,
  letters: readonly ConfigurationName[],
): LadderEntry[] {
  return entries.filter(({ config, switches }) => switches === "" && letters.includes(config));
}

/** `0.412`, or `0.412 (0.405 to 0.420)` if there are several. */
export function rangeOf(values: readonly number[], digits = 3): string {
  const mean = geometricMean(values).toPrecision(digits);
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toPrecision(digits));
  return low === high || low === undefined || high === undefined ? mean : `${mean} (${low} to ${high})`;
}

/** Why a comparison tells nothing; empty if it does. */
export function doubt({ high }: Comparison, verdict: Verdict): string {
  if (verdict !== "unclear") return "";
  return Number.isFinite(high)
    ? " That is within what chance does to so few runs."
    : " So few runs say nothing about chance: more seeds would tell.";
}

export type Quantity = "error" | "distance";

const nameOf: Readonly<Record<Quantity, string>> = {
  error: "error on held-out images",
  distance: "Fréchet distance",
};

/** Whether the ladder leads down as a whole, and step by step. */
export function ladderFindings(results: LadderResults, quantity: Quantity): readonly Finding[] {
  const rungs = configurationNames.flatMap((letter) => {
    const measured = measuredIn(plainRuns(results, [letter]), quantity);
    return measured.size === 0 ? [] : [{ letter, measured, values: [...measured.values()] }];
  });
  return [totalFinding(rungs, quantity), stepsFinding(rungs, quantity)];
}

type Rung = {
  readonly letter: ConfigurationName;
  /** By seed. */
  readonly measured: ReadonlyMap<number, number>;
  readonly values: readonly number[];
};

/** What was measured and finite, by seed. */
function measuredIn(entries: readonly LadderEntry[], quantity: Quantity): ReadonlyMap<number, number> {
  return new Map(
    entries.flatMap(({ seed, best }): [number, number][] => {
      const value = best[quantity];
      return value !== null && Number.isFinite(value) && value > 0 ? [[seed, value]] : [];
    }),
  );
}

/** Seed by seed, as the runs of a seed share their random numbers and all hold the same images out; as sets if no seed is in both. */
function compareRungs(left: Rung, right: Rung): Comparison {
  const pairs = [...left.measured].flatMap(([seed, changed]): Pair[] => {
    const base = right.measured.get(seed);
    return base === undefined ? [] : [{ changed, base }];
  });
  return pairs.length === 0 ? compareRatios(left.values, right.values) : comparePairs(pairs);
}

function totalFinding(rungs: readonly Rung[], quantity: Quantity): Finding {
  const paper = "The whole ladder takes FID from 8.00 (A) to 2.56 (G), at about the same size and cost.";
  const [first, last] = [rungs.at(0), rungs.at(-1)];
  if (first === undefined || last === undefined || first === last) return missing(paper, needsRungs(quantity));
  const comparison = compareRungs(first, last);
  const verdict = isLarger(comparison);
  const ends =
    `The ${nameOf[quantity]} of ${first.letter} is ${rangeOf(first.values, 4)}, that of ${last.letter} ` +
    `${rangeOf(last.values, 4)}: ${(1 / comparison.ratio).toPrecision(3)} times as much.`;
  return { paper, verdict, sentence: ends + doubt(comparison, verdict) };
}

function stepsFinding(rungs: readonly Rung[], quantity: Quantity): Finding {
  const paper = "Every step from A to G improves FID; the largest is from C to D.";
  const steps = rungs.slice(1).flatMap((rung, i) => {
    const before = rungs[i];
    if (before === undefined) return [];
    const comparison = compareRungs(before, rung);
    return [{ name: `${before.letter} to ${rung.letter}`, comparison, verdict: isLarger(comparison) }];
  });
  if (steps.length === 0) return missing(paper, needsRungs(quantity));
  const named = (wanted: Verdict): string[] =>
    steps.filter(({ verdict }) => verdict === wanted).map(({ name }) => name);
  const [better, worse, unclear] = [named("shows"), named("not"), named("unclear")];
  const verdict = worse.length > 0 ? "not" : unclear.length > 0 ? "unclear" : "shows";
  const largest = steps.reduce((a, b) => (b.comparison.ratio > a.comparison.ratio ? b : a));
  const parts = [
    better.length > 0 ? `better: ${better.join(", ")}` : "",
    unclear.length > 0 ? `can't be told apart: ${unclear.join(", ")}` : "",
    worse.length > 0 ? `worse: ${worse.join(", ")}` : "",
  ];
  const change = `${largest.name}, ${(1 / largest.comparison.ratio).toPrecision(3)} times`;
  return {
    paper,
    verdict,
    sentence: `By ${nameOf[quantity]}, ${parts.filter((part) => part !== "").join("; ")}. The best step is ${change}.`,
  };
}

/** How the error moves with training, and whether it turns. */
export function overfittingFinding({ entries }: LadderResults): Finding {
  const paper =
    "A network of this kind needs dropout only if its validation loss turns upwards; the small ones do without.";
  const rises = entries.flatMap(({ name, validation }) => {
    const values = validation.values.filter((value) => value !== null);
    const last = values.at(-1);
    return last === undefined || values.length < 2 ? [] : [{ name, rise: last / Math.min(...values) - 1 }];
  });
  if (rises.length === 0) return missing(paper, "No validation error was logged.");
  const names = [...new Set(rises.map(({ name }) => name))];
  const all = names.map((name) => {
    const own = rises.filter((each) => each.name === name).map(({ rise }) => rise);
    return { name, low: Math.min(...own), high: Math.max(...own) };
  });
  // What seeds agree on counts; between is chance.
  const turned = all.filter(({ low }) => low > notable);
  const doubtful = all.filter(({ low, high }) => low <= notable && high > notable);
  const percent = ({ name, low, high }: (typeof all)[number]): string =>
    low === high ? `${name} by ${inPercent(high)}` : `${name} by ${inPercent(low)} to ${inPercent(high)}`;
  if (turned.length > 0) {
    const sentence = `At the end the error is above its lowest: ${turned.map(percent).join(", ")}.`;
    return { paper, verdict: "not", sentence };
  }
  if (doubtful.length > 0) {
    const sentence = `Seeds disagree on whether the error ends above its lowest: ${doubtful.map(percent).join(", ")}.`;
    return { paper, verdict: "unclear", sentence };
  }
  const most = inPercent(Math.max(...all.map(({ high }) => high)));
  return {
    paper,
    verdict: "shows",
    sentence: `The run that ends furthest above its lowest validation error does so by ${most}.`,
  };
}

/** Rises less than this are the noise of short averages. */
const notable = 0.05;

/** What isn't worth digits isn't given any. */
export function inPercent(share: number): string {
  return share < 1e-4 ? "less than 0.01 %" : `${(100 * share).toPrecision(2)} %`;
}

export function missing(paper: string, sentence: string): Finding {
  return { paper, verdict: "missing", sentence };
}

function needsRungs(quantity: Quantity): string {
  return `Needs the ${nameOf[quantity]} of at least two of the rungs A to G without switches.`;
}
