import type { ConfigurationName } from "../../nn/index.ts";
import { compareRatios, geometricMean, isLarger, logarithmicSpread } from "./comparison.ts";
import { doubt, type Finding, missing, plainRuns, rangeOf } from "./findings.ts";
import type { PlaceCurves } from "../runs/curves.ts";
import type { LadderEntry, LadderResults } from "./results.ts";

/** How a magnitude changes from a fifth of a run to its end, at the place where it ends largest. */
export type Growth = { readonly place: string; readonly first: number; readonly last: number; readonly ratio: number };

/** Counted from a fifth of the run, when gains that start at zero have opened. Null if nothing positive was measured. */
export function growthOf(curves: PlaceCurves): Growth | null {
  const all = curves.flatMap(({ place, nimg, values }): Growth[] => {
    const start = (nimg.at(-1) ?? 0) / 5;
    const positive = values.flatMap((value, i) =>
      value !== null && value > 0 && (nimg[i] ?? 0) >= start ? [value] : [],
    );
    const [first, last] = [positive.at(0), positive.at(-1)];
    return first === undefined || last === undefined ? [] : [{ place, first, last, ratio: last / first }];
  });
  return all.reduce<Growth | null>((a, b) => (a === null || b.last > a.last ? b : a), null);
}

type Side = { readonly letters: readonly ConfigurationName[]; readonly label: string };

const early: Side = { letters: ["A", "B", "C"], label: "A to C" };
const late: Side = { letters: ["D", "E", "F", "G"], label: "D to G" };
const free: Side = { letters: ["A", "B", "C", "D"], label: "A to D" };
const forced: Side = { letters: ["E", "F", "G"], label: "E to G" };

/**
 * One positive number a run on each side, compared: is the first side's larger, by `factor` at least? What shows of a side as a whole
 * and not of one of its configurations is said.
 */
function compareSides(
  results: LadderResults,
  texts: { readonly paper: string; readonly quantity: string },
  [left, right]: readonly [Side, Side],
  factor: number,
  of: (entry: LadderEntry) => number | null,
): Finding {
  const { paper, quantity } = texts;
  const numbers = ({ letters }: Side): { config: ConfigurationName; value: number }[] =>
    plainRuns(results, letters).flatMap((entry) => {
      const value = of(entry);
      return value !== null && value > 0 ? [{ config: entry.config, value }] : [];
    });
  const [first, second] = [numbers(left), numbers(right)];
  if (first.length === 0 || second.length === 0) {
    const lacking = [first.length === 0 ? left : null, second.length === 0 ? right : null].flatMap(
      (s) => s?.label ?? [],
    );
    return missing(paper, `Needs a rung of ${lacking.join(" and one of ")} without switches, with ${quantity}.`);
  }
  const values = (side: typeof first): number[] => side.map(({ value }) => value);
  const comparison = compareRatios(values(first), values(second));
  const verdict = isLarger(comparison, factor);
  const configsOf = (side: typeof first): ConfigurationName[] => [...new Set(side.map(({ config }) => config))];
  const valuesOf = (side: typeof first, config: ConfigurationName): number[] =>
    values(side.filter((each) => each.config === config));
  const listed = (side: typeof first): string =>
    configsOf(side)
      .map((config) => `${config} ${rangeOf(valuesOf(side, config))}`)
      .join(", ");
  const alone = configsOf(first).filter(
    (config) => isLarger(compareRatios(valuesOf(first, config), values(second)), factor) === "not",
  );
  const exceptions = verdict === "shows" && alone.length > 0 ? ` Not of ${alone.join(", ")} taken alone.` : "";
  const numbersOf = `${quantity}: ${listed(first)}; ${listed(second)}.`;
  return {
    paper,
    verdict,
    sentence: numbersOf.charAt(0).toUpperCase() + numbersOf.slice(1) + exceptions + doubt(comparison, verdict),
  };
}

/** Activations grow without weight normalization, and don't with it. Karras et al. 2024, Fig. 3 and 15. */
export function activationFinding(results: LadderResults): Finding {
  return compareSides(
    results,
    {
      paper:
        "In A to C the largest activations keep growing for as long as training lasts; " +
        "from D on, with normalized weights, they stay flat.",
      quantity: "growth of the largest activation from a fifth of the run to its end",
    },
    [early, late],
    1.2,
    ({ activations }) => growthOf(activations.max)?.ratio ?? null,
  );
}

/** G's activations have a magnitude of about 1. Karras et al. 2024, Fig. 15. */
export function unitFinding(results: LadderResults): Finding {
  const paper = "G, whose fixed functions preserve magnitudes too, keeps the mean activation near 1 everywhere.";
  const runs = plainRuns(results, ["G"]).flatMap(({ activations }) => {
    const last = activations.mean.flatMap(
      ({ values }) => values.findLast((value) => value !== null && value > 0) ?? [],
    );
    return last.length === 0 ? [] : [last];
  });
  if (runs.length === 0) return missing(paper, "Needs rung G without switches, with activations.");
  const isNear = runs.map((last) => last.every((value) => value > 1 / 1.5 && value < 1.5));
  const verdict = isNear.every(Boolean) ? "shows" : isNear.some(Boolean) ? "unclear" : "not";
  const all = runs.flat();
  const range = `${Math.min(...all).toPrecision(3)} to ${Math.max(...all).toPrecision(3)}`;
  const sentence = `At the end the places of G have means of ${range}, ${geometricMean(all).toPrecision(3)} on the whole.`;
  return {
    paper,
    verdict,
    sentence: verdict === "unclear" ? `${sentence} Seeds disagree on whether that is near.` : sentence,
  };
}

/** Weights grow until they are forced not to. Karras et al. 2024, Fig. 3 and 15. */
export function weightFinding(results: LadderResults): Finding {
  return compareSides(
    results,
    {
      paper:
        "Weights grow throughout training in A to D; normalizing them where they are used, as D does, " +
        "even speeds that up. From E on they are set back to magnitude 1 after each step.",
      quantity: "growth of the largest mean weight from a fifth of the run to its end",
    },
    [free, forced],
    1.05,
    ({ weights }) => growthOf(weights.mean)?.ratio ?? null,
  );
}

/** Largest over smallest, and standard deviation of the logarithm, of effective learning rates at the end of training. */
export function updateSpread({
  finalUpdates,
}: LadderEntry): { readonly range: number; readonly spread: number } | null {
  const values = finalUpdates.flatMap(({ value }) => (value !== null && value > 0 ? [value] : []));
  const spread = logarithmicSpread(values);
  return spread === null ? null : { range: Math.max(...values) / Math.min(...values), spread };
}

/** Layers end up learning equally fast once weights can't grow. */
export function updateFinding(results: LadderResults): Finding {
  return compareSides(
    results,
    {
      paper:
        "Where weights grow, each layer's relative step shrinks at its own pace; with forced normalization, " +
        "from E on, all layers learn at one rate, which the schedule alone sets.",
      quantity: "spread over layers of the final effective learning rate (standard deviation of its logarithm)",
    },
    [free, forced],
    1.2,
    (entry) => updateSpread(entry)?.spread ?? null,
  );
}

/** The same as a list: rung by rung, the ratio of largest to smallest. */
export function updateRanges({ entries }: LadderResults): string {
  const names = [...new Set(entries.map(({ name }) => name))];
  const ranges = names.flatMap((name) => {
    const own = entries.filter((entry) => entry.name === name).flatMap((entry) => updateSpread(entry)?.range ?? []);
    return own.length === 0 ? [] : [`${name} ${geometricMean(own).toPrecision(3)}`];
  });
  return ranges.length === 0 ? "" : `Largest over smallest final rate of a layer: ${ranges.join(", ")}.`;
}
