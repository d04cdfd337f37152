import { type ConfigurationName, configurationNames } from "../../nn/index.ts";
import { escapeHtml, figure } from "../page.ts";
import { driftFinding, groupFindings, widthFinding } from "./averageFindings.ts";
import { activationFinding, unitFinding, updateFinding, updateRanges, weightFinding } from "./dynamicsFindings.ts";
import { type Finding, ladderFindings, overfittingFinding, paperDistances } from "./findings.ts";
import {
  coloursOf,
  curvesChart,
  type CurvesOptions,
  type NamedCurve,
  rungsChart,
  type RungValue,
} from "./pageCharts.ts";
import type { PlaceCurves, RunCurve } from "../runs/curves.ts";
import type { LadderEntry, LadderResults } from "./results.ts";
import { summarizeRungs, withSpread } from "./table.ts";

/** A part of the page under a heading. `parts` is markup. */
export type PageSection = {
  readonly title: string;
  readonly findings: readonly Finding[];
  readonly parts: readonly string[];
  readonly kind?: "charts" | "charts narrow" | "samples";
};

/** What a configuration adds to the one before. Karras et al. 2024, Table 1. */
const additions: Readonly<Record<ConfigurationName, string>> = {
  A: "EDM baseline (ADM network)",
  B: "minor improvements",
  C: "architectural streamlining",
  D: "magnitude-preserving learned layers",
  E: "control of the effective learning rate",
  F: "no group normalization",
  G: "magnitude-preserving fixed functions",
};

export function ladderSection(results: LadderResults): PageSection {
  const { entries, metric } = results;
  const colourOf = rungColours(results);
  const bySeed = (of: (entry: LadderEntry) => number | null): RungValue[] =>
    entries.flatMap((entry) => {
      const value = of(entry);
      return value === null || !Number.isFinite(value)
        ? []
        : [{ rung: entry.name, value, source: `${entry.name}, seed ${entry.seed}` }];
    });
  const errors = bySeed(({ best }) => best.error);
  const distances = bySeed(({ best }) => best.distance);
  const plain = [...new Set(entries.filter(({ switches }) => switches === "").map(({ config }) => config))];
  const published = plain.map((rung) => ({ rung, value: paperDistances[rung], source: rung }));
  const floor = metric.floor === null ? "" : " The broken line is what as many real images get.";
  return {
    title: "Rung by rung",
    findings: [...ladderFindings(results, "distance"), ...ladderFindings(results, "error")],
    parts: [
      `<div class="whole">${rungTable(results)}</div>`,
      figure(
        rungsChart(distances, colourOf, { label: "Fréchet distance", floor: metric.floor }),
        `Fréchet distance of samples. Dots are seeds, bars their means.${floor}`,
      ),
      figure(
        rungsChart(errors, colourOf, { label: "held-out error" }),
        "Error of held-out images at each rung's best length. Dots are seeds, bars their means.",
      ),
      ...(published.length < 2
        ? []
        : [figure(rungsChart(published, colourOf, { label: "the paper's FID" }), paperCaption)]),
    ],
  };
}

const paperCaption = "The same rungs in the paper, on ImageNet-512.";

function rungTable(results: LadderResults): string {
  const rows = summarizeRungs(results).map(({ name, entries, error, distance, sigmaRel }) => {
    const [first] = entries;
    if (first === undefined) return "";
    const cells = [
      name,
      first.switches === "" ? additions[first.config] : `${first.config} with ${first.switches}`,
      first.parameters.toLocaleString("en"),
      `${(first.macs / 1e6).toFixed(1)} M`,
      String(first.learningRate),
      sigmaRel.toFixed(3),
      withSpread(error),
      distance === null ? "–" : withSpread(distance),
      first.switches === "" ? paperDistances[first.config].toFixed(2) : "–",
    ];
    return `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`;
  });
  const heads = [
    "rung",
    "adds",
    "parameters",
    "multiply-adds an image",
    "learning rate",
    "best sigma_rel",
    "held-out error",
    "distance",
    "paper's FID",
  ];
  const head = heads.map((each) => `<th>${each}</th>`).join("");
  return `<table><thead><tr>${head}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
}

export function activationSection(results: LadderResults): PageSection {
  return {
    title: "Activations",
    kind: "charts narrow",
    findings: [activationFinding(results), unitFinding(results)],
    parts: [
      ...placeCharts(results, "Largest feature of each place", "largest", ({ activations }) => activations.max),
      ...placeCharts(results, "Mean over the features of each place", "mean", ({ activations }) => activations.mean),
    ],
  };
}

export function weightSection(results: LadderResults): PageSection {
  return {
    title: "Weights",
    kind: "charts narrow",
    findings: [weightFinding(results)],
    parts: [
      ...placeCharts(results, "Largest output of each place", "largest", ({ weights }) => weights.max),
      ...placeCharts(results, "Mean over the outputs of each place", "mean", ({ weights }) => weights.mean),
    ],
  };
}

export function updateSection(results: LadderResults): PageSection {
  const finals = results.entries.flatMap(({ name, seed, finalUpdates }) =>
    finalUpdates.flatMap(({ layer, value }) =>
      value === null ? [] : [{ rung: name, value, source: `${name}, seed ${seed}, ${layer}` }],
    ),
  );
  const ends = figure(
    rungsChart(finals, rungColours(results), { label: "relative update", log: true }),
    escapeHtml(`Every layer at the end of training, and the mean. ${updateRanges(results)}`),
  );
  return {
    title: "Effective learning rates",
    kind: "charts narrow",
    findings: [updateFinding(results)],
    parts: [
      ...placeCharts(
        results,
        "How far a step moves weights, relative to their size",
        "update",
        ({ updates }) => updates,
      ),
      "<h3>At the end</h3>",
      `<div class="double">${ends}</div>`,
    ],
  };
}

/** One small chart a rung, first seeds, on one vertical axis. */
function placeCharts(
  results: LadderResults,
  heading: string,
  label: string,
  of: (entry: LadderEntry) => PlaceCurves,
): string[] {
  const firsts = firstSeeds(results);
  const places = [...new Set(firsts.flatMap((entry) => of(entry).map(({ place }) => place)))];
  const colourOf = coloursOf(places);
  const cover = firsts.flatMap((entry) => of(entry).flatMap(({ values }) => values.flatMap((value) => value ?? [])));
  const charts = firsts.map((entry) => {
    const curves = of(entry).map((curve) => overImages(curve.place, colourOf(curve.place), curve));
    const chart = curvesChart(curves, { ...overTime, y: label, log: true, cover, size: "quarter" });
    return figure(chart, `<b>${escapeHtml(entry.name)}</b>, seed ${entry.seed}`);
  });
  return [`<h3>${escapeHtml(heading)}</h3>`, ...charts];
}

export function sweepSection(results: LadderResults): PageSection {
  const colourOf = rungColours(results);
  const firsts = new Set(firstSeeds(results));
  const curvesOf = (of: (entry: LadderEntry) => NamedCurve["points"]): NamedCurve[] =>
    results.entries.map((entry) => ({
      name: entry.name,
      colour: colourOf(entry.name),
      points: of(entry),
      isUnlabelled: !firsts.has(entry),
      strokeOpacity: firsts.has(entry) ? 1 : 0.45,
    }));
  const last = ({ sweeps }: LadderEntry) => sweeps.at(-1)?.points ?? [];
  const errors = curvesOf((entry) => last(entry).map(({ sigmaRel, error }) => ({ x: sigmaRel, value: error })));
  const relative = curvesOf((entry) =>
    last(entry).map(({ sigmaRel, error }) => ({ x: sigmaRel, value: error / entry.best.error })),
  );
  const distances = curvesOf((entry) =>
    last(entry).flatMap(({ sigmaRel, distance }) => (distance === null ? [] : [{ x: sigmaRel, value: distance }])),
  );
  const marked = results.entries.map(({ name, best }) => ({
    x: best.sigmaRel,
    value: best.error,
    colour: colourOf(name),
  }));
  const parts = [
    figure(
      curvesChart(errors, { ...overLength, marked }),
      "Held-out error with averages of each length. Rings are the best; faint lines are further seeds.",
    ),
    figure(
      curvesChart(relative, { ...overLength, y: "over the best" }),
      "The same over each run's best: the flatter, the less the length matters.",
    ),
  ];
  if (distances.some(({ points }) => points.length > 1)) {
    const chart = curvesChart(distances, { ...overLength, y: "Fréchet distance" });
    parts.push(figure(chart, "Fréchet distance, where it was measured."));
  }
  return { title: "How long to average", findings: [widthFinding(results)], parts };
}

export function driftSection(results: LadderResults): PageSection {
  const charts = firstSeeds(results)
    .filter(({ sweeps }) => sweeps.length > 0)
    .map(({ name, seed, sweeps }) => {
      // From faint to strong as training goes on.
      const curves = sweeps.map(({ nimg, points }, i) => ({
        name: `${(nimg / 1000).toLocaleString("en", { maximumFractionDigits: nimg < 10000 ? 1 : 0 })}k images`,
        colour: `color-mix(in srgb, var(--accent) ${Math.round(30 + (70 * (i + 1)) / sweeps.length)}%, var(--paper))`,
        points: points.map(({ sigmaRel, error }) => ({ x: sigmaRel, value: error })),
      }));
      const marked = sweeps.flatMap(({ points }, i) => {
        const finite = points.filter(({ error }) => Number.isFinite(error));
        const best = finite.reduce<(typeof finite)[number] | null>(
          (a, b) => (a === null || b.error < a.error ? b : a),
          null,
        );
        const colour = curves[i]?.colour ?? "currentColor";
        return best === null ? [] : [{ x: best.sigmaRel, value: best.error, colour }];
      });
      const chart = curvesChart(curves, { ...overLength, log: true, marked, size: "quarter" });
      return figure(chart, `<b>${escapeHtml(name)}</b>, seed ${seed}; rings are the best length at each time`);
    });
  return {
    title: "How the best length moves",
    kind: "charts narrow",
    findings: [driftFinding(results)],
    parts: charts,
  };
}

export function groupSection(results: LadderResults): PageSection {
  const measured = results.entries.filter(({ groups }) => groups.length > 0);
  const colourOf = coloursOf([...new Set(measured.flatMap(({ groups }) => groups.map(({ group }) => group)))]);
  const charts = measured.map(({ name, seed, groups, sweeps, best }) => {
    const faint = groups.map(({ group, points }) => ({
      name: group,
      colour: colourOf(group),
      points: points.map(({ sigmaRel, error }) => ({ x: sigmaRel, value: error })),
      strokeWidth: 1.1,
      strokeOpacity: 0.75,
    }));
    const all: NamedCurve = {
      name: "all",
      colour: "var(--ink)",
      points: (sweeps.at(-1)?.points ?? []).map(({ sigmaRel, error }) => ({ x: sigmaRel, value: error })),
      strokeWidth: 2.6,
    };
    return figure(
      curvesChart([...faint, all], { ...overLength }),
      `<b>${escapeHtml(name)}</b>, seed ${seed}: one group of weights gets each length, all others stay at ${best.sigmaRel}; ` +
        "the thick line is all at once.",
    );
  });
  return { title: "Weights that want another length", findings: groupFindings(results), parts: charts };
}

export function trainingSection(results: LadderResults): PageSection {
  const colourOf = rungColours(results);
  const firsts = new Set(firstSeeds(results));
  const curvesOf = (of: (entry: LadderEntry) => RunCurve): NamedCurve[] =>
    results.entries.map((entry) => ({
      ...overImages(entry.name, colourOf(entry.name), of(entry)),
      isUnlabelled: !firsts.has(entry),
      strokeOpacity: firsts.has(entry) ? 1 : 0.45,
    }));
  return {
    title: "Training",
    findings: [overfittingFinding(results)],
    parts: [
      figure(
        curvesChart(
          curvesOf(({ validation }) => validation),
          { ...overTime, y: "held-out error", log: true },
        ),
        "Error of held-out images with the shortest stored average, at each configuration's own noise levels: A's are others than the rest's.",
      ),
      figure(
        curvesChart(
          curvesOf(({ loss }) => loss),
          { ...overTime, y: "training loss", log: true },
        ),
        "The loss that is trained. From B on its weighting is learned, so that A's can't be compared with the rest's.",
      ),
    ],
  };
}

const overTime: Pick<CurvesOptions, "x"> = { x: "thousand images seen" };
const overLength: Pick<CurvesOptions, "x" | "y"> = { x: "length of the average, sigma_rel", y: "held-out error" };

function overImages(name: string, colour: string, { nimg, values }: RunCurve): NamedCurve {
  return { name, colour, points: nimg.map((each, i) => ({ x: each / 1000, value: values[i] ?? NaN })) };
}

/** The first seed's run of each rung. */
function firstSeeds(results: LadderResults): readonly LadderEntry[] {
  return summarizeRungs(results).flatMap(({ entries }) => entries[0] ?? []);
}

/** A configuration has its own colour in every ladder, unless rungs differ by switches. */
function rungColours({ entries }: LadderResults): (rung: string) => string {
  return coloursOf(
    entries.every(({ switches }) => switches === "")
      ? configurationNames
      : [...new Set(entries.map(({ name }) => name))],
  );
}
