/** What the paper found, and whether a ladder's numbers show it: Karras et al. 2024, Table 1 and Fig. 3, 5 and 15. */
import type { LadderEntry, LadderResults, PlaceCurves } from "./results.ts";
import { summarizeRungs } from "./table.ts";

/** `open`: it can't be told, as when it is within what seeds differ by, or runs are missing. */
export type Verdict = "shows" | "absent" | "open";

export type Finding = {
  /** What the paper found. */
  readonly paper: string;
  /** What is here, with its numbers. */
  readonly here: string;
  readonly verdict: Verdict;
};

/** Runs of plain configurations; switches are ablations, which the paper has none of. */
function plain({ entries }: LadderResults, letters: string): readonly LadderEntry[] {
  return entries.filter(({ config, switches }) => switches === "" && letters.includes(config));
}

const number = (value: number): string => value.toPrecision(3);
const listed = (names: readonly string[]): string => [...new Set(names)].join(", ");

function missing(paper: string, what: string): Finding {
  return { paper, here: `Needs ${what}.`, verdict: "open" };
}

/** Whether G ends better than A, by distance where it was measured, else by error. */
export function ladderFinding(results: LadderResults): Finding {
  const paper = "Each step of the ladder lowers the FID, from 8.00 with A to 2.56 with G.";
  const [a, g] = ["A", "G"].map((letter) => plain(results, letter));
  if (a === undefined || g === undefined || a.length === 0 || g.length === 0) return missing(paper, "rungs A and G");
  const compare = (what: string, of: (entry: LadderEntry) => number | null): [Verdict, string] | null => {
    const [ofA, ofG] = [a, g].map((runs) => runs.flatMap((run) => of(run) ?? []));
    if (ofA === undefined || ofG === undefined || ofA.length === 0 || ofG.length === 0) return null;
    const range = (values: readonly number[]): string =>
      values.length === 1
        ? number(values[0] ?? NaN)
        : `${number(Math.min(...values))} to ${number(Math.max(...values))}`;
    const text = `${what} is ${range(ofA)} with A and ${range(ofG)} with G`;
    if (Math.max(...ofG) < Math.min(...ofA)) {
      return ofA.length > 1 && ofG.length > 1
        ? ["shows", `${text}: outside of what the seeds differ by`]
        : ["open", `${text}, with one seed only`];
    }
    if (Math.min(...ofG) > Math.max(...ofA)) return ["absent", `${text}: the other way round`];
    return ["open", `${text}: within what the seeds differ by`];
  };
  const distance = compare("The Fréchet distance", ({ best }) => best.distance);
  const error = compare("the denoising error of held-out images", ({ best }) => best.error);
  const rungs = summarizeRungs(results).filter(({ entries }) => entries[0]?.switches === "");
  const values = rungs.flatMap(({ distance: measured, error: own }) => (measured ?? own).mean);
  const falls = values.slice(1).filter((value, i) => value < (values[i] ?? 0)).length;
  const steps = values.length > 2 ? ` ${falls} of ${values.length - 1} steps are downwards.` : "";
  const parts = [distance, error].flatMap((part) => (part === null ? [] : [part[1]]));
  return { paper, here: `${parts.join("; ")}.${steps}`, verdict: (distance ?? error)?.[0] ?? "open" };
}

/** Growth of a quantity since a fifth of the run, when gains that start at zero have opened: its largest place. */
export function growthOf(curves: PlaceCurves): number {
  const growths = curves.map(({ nimg, values }) => {
    const end = nimg.at(-1) ?? 0;
    const from = values[nimg.findIndex((each) => each >= end / 5)] ?? null;
    const last = values.at(-1) ?? null;
    return from === null || last === null || from === 0 ? NaN : last / from;
  });
  return Math.max(...growths.filter(Number.isFinite));
}

/** Whether a magnitude grows in the configurations where the paper saw it, and stays in the others. */
export function magnitudeFinding(results: LadderResults, what: "activations" | "weights"): Finding {
  const [growing, steady] = what === "activations" ? ["ABC", "DEFG"] : ["ABCD", "EFG"];
  const paper =
    what === "activations"
      ? "Activations grow as long as training goes on in configurations up to C; magnitude-preserving layers (D to G) hold them."
      : "Weights grow without end up to D, where they alone are left to grow; forced normalization (E to G) holds them at 1.";
  const groups = [growing, steady].map((letters) => plain(results, letters));
  const [grow, stay] = groups;
  if (grow === undefined || stay === undefined || grow.length === 0 || stay.length === 0) {
    return missing(paper, `a rung of ${growing.split("").join(", ")} and one of ${steady.split("").join(", ")}`);
  }
  const factors = groups.map((runs) => runs.map((run) => growthOf(run[what].mean)));
  const [low, high] = [Math.min(...(factors[0] ?? [])), Math.max(...(factors[1] ?? []))];
  const text = groups.map((runs, i) => {
    const own = factors[i] ?? [];
    return `${number(Math.min(...own))} to ${number(Math.max(...own))} in ${listed(runs.map(({ name }) => name))}`;
  });
  const here = `From a fifth of the run to its end, the place that grows most grows by a factor of ${text.join(", of ")}.`;
  return {
    paper,
    here,
    verdict:
      low > high ? "shows" : Math.max(...(factors[0] ?? [])) < Math.min(...(factors[1] ?? [])) ? "absent" : "open",
  };
}

/** How far apart the effective learning rates of a run's layers are at its end: largest over smallest. */
export function rateSpread({ finalUpdates }: LadderEntry): number {
  const values = finalUpdates.flatMap(({ value }) => (value !== null && value > 0 ? [value] : []));
  return Math.max(...values) / Math.min(...values);
}

export function rateFinding(results: LadderResults): Finding {
  const paper =
    "Where weights grow, the same step moves them less and less, each layer in its own way; with forced normalization (E to G) all layers " +
    "have the same effective learning rate, which the schedule decides.";
  const [free, forced] = [plain(results, "ABCD"), plain(results, "EFG")];
  if (free.length === 0 || forced.length === 0) return missing(paper, "a rung of A, B, C, D and one of E, F, G");
  const [ofFree, ofForced] = [free.map(rateSpread), forced.map(rateSpread)];
  const range = (values: readonly number[]): string =>
    `${number(Math.min(...values))} to ${number(Math.max(...values))}`;
  const here =
    `At the end of training the layer that moves most moves ${range(ofForced)} times as much as the one that moves least in ` +
    `${listed(forced.map(({ name }) => name))}, and ${range(ofFree)} times in ${listed(free.map(({ name }) => name))}.`;
  const shows = Math.max(...ofForced) < Math.min(...ofFree);
  return { paper, here, verdict: shows ? "shows" : Math.min(...ofForced) > Math.max(...ofFree) ? "absent" : "open" };
}

/** Whether configurations want averages of different lengths. */
export function sweepFinding(results: LadderResults): Finding {
  const paper =
    "Each configuration has a best length of its own, between 0.075 (C) and 0.225 (D), and is much worse away from it: a comparison at one " +
    "length misleads.";
  const rungs = summarizeRungs(results);
  if (rungs.length < 2) return missing(paper, "two rungs");
  const lengths = results.entries.flatMap(({ sweeps }) => sweeps.at(-1)?.points.map(({ sigmaRel }) => sigmaRel) ?? []);
  const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
  const best = rungs.map(({ name, sigmaRel }) => `${name} ${number(sigmaRel)}`).join(", ");
  const atEdge = results.entries.filter(({ best: { sigmaRel } }) => sigmaRel === shortest || sigmaRel === longest);
  const costs = results.entries.map(({ sweeps, best: { error } }) =>
    Math.max(...(sweeps.at(-1)?.points ?? []).map((point) => point.error / error)),
  );
  const here =
    `Best lengths by held-out error: ${best}. The worst length of a sweep costs ${number(100 * (Math.min(...costs) - 1))} to ` +
    `${number(100 * (Math.max(...costs) - 1))}%.` +
    (atEdge.length > 0
      ? ` At an end of the sweep, so that the best may lie beyond: ${listed(atEdge.map(({ name }) => name))}.`
      : "");
  const differ = new Set(rungs.map(({ sigmaRel }) => sigmaRel)).size > 1;
  return { paper, here, verdict: atEdge.length > 0 ? "open" : differ ? "shows" : "absent" };
}

/** How the best length moves over a run. */
export function driftFinding(results: LadderResults): Finding {
  const paper =
    "The best length is no constant of a configuration: it moves, and matters more, as training goes on (Fig. 5c shows it for G).";
  const moving = results.entries.filter(({ sweeps }) => sweeps.length > 1);
  if (moving.length === 0) return missing(paper, "a sweep at two times of training");
  const bestOf = (points: LadderEntry["sweeps"][number]["points"]): number =>
    points.reduce((best, point) => (point.error < best.error ? point : best)).sigmaRel;
  const moves = moving.map(({ name, seed, sweeps }) => ({
    label: `${name} (seed ${seed})`,
    lengths: sweeps.map(({ points }) => bestOf(points)),
  }));
  const moved = moves.filter(({ lengths }) => new Set(lengths).size > 1);
  const text = moved.map(({ label, lengths }) => `${label} ${lengths.join(" to ")}`).join(", ");
  const here =
    moved.length === 0
      ? "No run's best length moves by a step of the sweep."
      : `It moves in ${moved.length} of ${moves.length} runs: ${text}.`;
  return { paper, here, verdict: moved.length > moves.length / 2 ? "shows" : moved.length === 0 ? "absent" : "open" };
}

/** Whether B's weights want lengths of their own, and G's agree. */
export function groupFinding(results: LadderResults): Finding {
  const paper =
    "In B some weights alone would rather have much shorter or longer averages than the rest, which lowers the FID from 7.24 to about 6.5; in " +
    "G all agree, and none gains.";
  const measured = ["B", "G"].map((letter) => plain(results, letter).find(({ groups }) => groups.length > 0));
  const [b, g] = measured;
  if (b === undefined || g === undefined) return missing(paper, "rungs B and G with --groups");
  const gain = ({ groups, best }: LadderEntry): number =>
    Math.max(...groups.map(({ points }) => 1 - Math.min(...points.map(({ error }) => error)) / best.error));
  const [ofB, ofG] = [gain(b), gain(g)];
  const here = `The group that gains most by a length of its own lowers the error by ${number(100 * ofB)}% in B and ${number(100 * ofG)}% in G.`;
  return { paper, here, verdict: ofB > 2 * ofG && ofB > 0.002 ? "shows" : ofB < ofG ? "absent" : "open" };
}
