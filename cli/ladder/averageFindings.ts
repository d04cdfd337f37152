import { compareRatios, isLarger, logarithmicSpread, type Verdict } from "./comparison.ts";
import { doubt, type Finding, inPercent, missing, plainRuns, rangeOf } from "./findings.ts";
import { optimumOf, riseOf } from "./optimum.ts";
import type { LadderEntry, LadderResults } from "./results.ts";

/** Off the best length by this factor the width of an optimum is judged. */
const factor = 1.5;

/** B if there is one; else the first of the ladder that isn't G. */
function baseOf(results: LadderResults, isUsable: (entry: LadderEntry) => boolean): LadderEntry[] {
  for (const letter of ["B", "A", "C", "D", "E", "F"] as const) {
    const runs = plainRuns(results, [letter]).filter(isUsable);
    if (runs.length > 0) return runs;
  }
  return [];
}

/** How fast the error rises off the best length. Karras et al. 2024, Fig. 5a. */
export function widthFinding(results: LadderResults): Finding {
  const paper =
    "Each configuration has its own best length, and quality depends on it much; " +
    "the optimum is wide in B and becomes narrower towards G.";
  const rise = ({ sweeps }: LadderEntry): number | null => riseOf(sweeps.at(-1)?.points ?? [], factor);
  // A sweep that is flat to the last digit has no logarithm.
  const rises = (runs: readonly LadderEntry[]): number[] => runs.flatMap((run) => Math.max(rise(run) ?? NaN, 1e-9));
  const base = baseOf(results, (entry) => rise(entry) !== null);
  const last = plainRuns(results, ["G"]).filter((entry) => rise(entry) !== null);
  const [config] = base.map((entry) => entry.config);
  if (config === undefined || last.length === 0) {
    return missing(
      paper,
      "Needs rungs B (or another before G) and G, with lengths on at least one side of the best one.",
    );
  }
  const comparison = compareRatios(rises(last), rises(base));
  const verdict = isLarger(comparison);
  const percent = (runs: readonly LadderEntry[]): string =>
    rangeOf(
      rises(runs).map((each) => 100 * each),
      2,
    );
  const edges = [...base, ...last].filter(({ sweeps }) => optimumOf(sweeps.at(-1)?.points ?? [])?.isAtEdge === true);
  const edge = [...new Set(edges.map(({ name }) => name))].join(" and ");
  return {
    paper,
    verdict,
    sentence:
      `${factor} times longer or shorter than the best, the error of ${config} is higher by ${percent(base)} %, ` +
      `that of G by ${percent(last)} %.${doubt(comparison, verdict)}` +
      (edge === "" ? "" : ` The best length of ${edge} is at the edge of those tried.`),
  };
}

/** The best length moves while training goes on. Karras et al. 2024, Fig. 5c. */
export function driftFinding(results: LadderResults): Finding {
  const paper = "The best length, measured in parts of the run so far, slowly grows as G trains on.";
  const drift = ({ sweeps }: LadderEntry): number | null => {
    const [first, last] = [sweeps.at(0), sweeps.at(-1)];
    if (first === undefined || last === undefined || first === last) return null;
    const [from, to] = [optimumOf(first.points), optimumOf(last.points)];
    return from === null || to === null ? null : to.sigmaRel / from.sigmaRel;
  };
  const letters = ["G", "F", "E", "D", "C", "B", "A"] as const;
  const runs = letters.map((letter) => plainRuns(results, [letter]).filter((run) => drift(run) !== null));
  const own = runs.find((each) => each.length > 0) ?? [];
  const [run] = own;
  if (run === undefined)
    return missing(paper, "Needs rung G, or another without switches, with sweeps at two times at least.");
  const drifts = own.flatMap((each) => drift(each) ?? []);
  const comparison = compareRatios(
    drifts,
    drifts.map(() => 1),
  );
  const verdict = isLarger(comparison);
  const times = [run.sweeps.at(0), run.sweeps.at(-1)].map((sweep) => (sweep?.nimg ?? 0).toLocaleString("en"));
  return {
    paper,
    verdict,
    sentence:
      `From ${times.join(" to ")} images the best length of ${run.config} changes to ${rangeOf(drifts)} times ` +
      `what it was.${doubt(comparison, verdict)}`,
  };
}

/** What single groups of weights want, against what all want together. */
export type Sensitivity = {
  /** Standard deviation of the logarithm of the groups' best lengths. */
  readonly spread: number;
  /** By what share of the error the best length of one group alone improves it. */
  readonly gain: number;
  /** Groups on which the error depends at all, and all groups. */
  readonly used: number;
  readonly all: number;
};

/** Null if fewer than two groups were measured on which the error depends. */
export function sensitivityOf({ groups, sweeps, best }: LadderEntry): Sensitivity | null {
  const extent = (points: readonly { readonly error: number }[]): number => {
    const errors = points.map(({ error }) => error).filter(Number.isFinite);
    return errors.length === 0 ? 0 : Math.max(...errors) - Math.min(...errors);
  };
  // The optimum of a group that hardly matters is anywhere.
  const threshold = 0.01 * extent(sweeps.at(-1)?.points ?? []);
  const used = groups.filter(({ points }) => extent(points) > threshold);
  const optima = used.flatMap(({ points }) => optimumOf(points) ?? []);
  const spread = logarithmicSpread(optima.map(({ sigmaRel }) => sigmaRel));
  if (spread === null) return null;
  const lowest = Math.min(...groups.flatMap(({ points }) => points.map(({ error }) => error)).filter(Number.isFinite));
  return { spread, gain: Math.max(0, 1 - lowest / best.error), used: used.length, all: groups.length };
}

/** A gain of less than this share of the error is none. */
const notable = 0.001;

/** Groups of weights disagree on the best length early in the ladder, and agree in G. Karras et al. 2024, Fig. 5b. */
export function groupFindings(results: LadderResults): readonly Finding[] {
  const agree =
    "In B single weight tensors want lengths far from the best one for all; in G all want about the same, " +
    "which is why its optimum is so narrow.";
  const gains = "In B one tensor with a length of its own improves FID by up to a tenth; in G none does.";
  const [base] = baseOf(results, (entry) => sensitivityOf(entry) !== null);
  const last = plainRuns(results, ["G"]).find((entry) => sensitivityOf(entry) !== null);
  const early = base === undefined ? null : sensitivityOf(base);
  const late = last === undefined ? null : sensitivityOf(last);
  if (base === undefined || early === null || late === null) {
    const lacking =
      early === null && late === null ? "rungs B (or another before G) and G" : late === null ? "rung G" : "rung B";
    return [agree, gains].map((paper) => missing(paper, `Needs ${lacking} with the sensitivity of its groups.`));
  }
  // About what two sets of ten from one distribution differ by once in twenty times.
  const spreadVerdict = twice(early.spread, late.spread);
  const gainVerdict = early.gain < notable ? "not" : twice(early.gain, Math.max(late.gain, notable / 2));
  const chance = (verdict: Verdict): string =>
    verdict === "unclear" ? " Less than twice as much is within what so few groups leave to chance." : "";
  return [
    {
      paper: agree,
      verdict: spreadVerdict,
      sentence:
        `The best lengths of single groups spread by a factor of ${Math.exp(early.spread).toPrecision(3)} in ${base.config} ` +
        `(${early.used} of ${early.all} groups), of ${Math.exp(late.spread).toPrecision(3)} in G ` +
        `(${late.used} of ${late.all}).${chance(spreadVerdict)}`,
    },
    {
      paper: gains,
      verdict: gainVerdict,
      sentence:
        `The best length for one group alone lowers the error of ${base.config} by ${inPercent(early.gain)}, ` +
        `that of G by ${inPercent(late.gain)}.${chance(gainVerdict)}`,
    },
  ];
}

function twice(first: number, second: number): Verdict {
  if (first >= 2 * second) return "shows";
  return first <= second ? "not" : "unclear";
}
