import type { ConfigurationName } from "../../nn/index.ts";
import { escapeHtml, figure, pageStyle, pngFigure } from "../page.ts";
import {
  driftFinding,
  type Finding,
  groupFinding,
  ladderFinding,
  magnitudeFinding,
  rateFinding,
  sweepFinding,
} from "./findings.ts";
import { curvesChart, type NamedCurve, rungsChart } from "./pageCharts.ts";
import type { LadderCurve, LadderEntry, LadderResults, PlaceCurves } from "./results.ts";
import { summarizeRungs, withSpread } from "./table.ts";

export type LadderPageOptions = {
  /** The bytes of a picture that the results name. */
  readonly samplesOf: (path: string) => Promise<Uint8Array>;
};

/** What a configuration adds to the one before, and its published FID. Karras et al. 2024, Table 1. */
const published: Readonly<Record<ConfigurationName, { readonly adds: string; readonly fid: number }>> = {
  A: { adds: "EDM baseline (ADM network)", fid: 8 },
  B: { adds: "minor improvements", fid: 7.24 },
  C: { adds: "architectural streamlining", fid: 6.96 },
  D: { adds: "magnitude-preserving learned layers", fid: 3.75 },
  E: { adds: "control of the effective learning rate", fid: 3.02 },
  F: { adds: "no group normalization", fid: 2.71 },
  G: { adds: "magnitude-preserving fixed functions", fid: 2.56 },
};

/** A ladder's results as one page that needs nothing else, in light and dark, on a screen and on paper. */
export async function ladderPage(results: LadderResults, { samplesOf }: LadderPageOptions): Promise<string> {
  const { entries, data, duration } = results;
  const firsts = firstSeeds(results);
  const pictures = await Promise.all(
    firsts.map(async ({ name, samples, best }) =>
      pngFigure(await samplesOf(samples), `${name}, averaged with ${best.sigmaRel}`),
    ),
  );
  const title = `The ladder on ${data.name} at ${data.resolution}x${data.resolution}`;
  const byRung = (what: string, of: (entry: LadderEntry) => string): string[] =>
    firsts.map((entry) => figure(of(entry), `${escapeHtml(entry.name)}: ${what}`));
  const facts = factsOf(results).map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title><style>${pageStyle}${ladderStyle}</style></head>
<body><header><h1>${escapeHtml(title)}</h1><dl>${facts.join("\n")}</dl></header>
${section("Rung by rung", ladderFinding(results), [rungTable(results)], "wide")}
${section("", null, qualityCharts(results), "charts")}
${section("Activations", magnitudeFinding(results, "activations"), [
  ...byRung("mean over the layers of each place", ({ activations }) =>
    placesChart(activations.mean, "root mean square"),
  ),
  ...byRung("largest feature of each place", ({ activations }) => placesChart(activations.max, "largest feature")),
])}
${section("Weights", magnitudeFinding(results, "weights"), [
  ...byRung("mean over the layers of each place", ({ weights }) => placesChart(weights.mean, "root mean square")),
  ...byRung("largest output of each place", ({ weights }) => placesChart(weights.max, "largest output")),
])}
${section(
  "Effective learning rates",
  rateFinding(results),
  byRung("how far a step moves a weight, relative to its size", ({ updates }) =>
    placesChart(updates, "relative update"),
  ),
)}
${section("How long to average", sweepFinding(results), [
  figure(
    curvesChart(firsts.map(lastSweep), lengthLabels),
    "Error of the held-out images with averages of each length, first seed.",
  ),
  figure(
    curvesChart(firsts.map(relativeSweep), { x: lengthLabels.x, y: "over the best" }),
    "The same over each rung's best: the flatter, the less the length matters.",
  ),
])}
${section("How the best length moves", driftFinding(results), byRung("error by length, at several times", driftChart))}
${section(
  "Weights that want another length",
  groupFinding(results),
  firsts.filter(({ groups }) => groups.length > 0).map((entry) => figure(groupChart(entry), groupCaption(entry))),
)}
${section("Training", null, [
  figure(
    curvesChart(
      firsts.map((entry) => overImages(entry.name, entry.validation)),
      { ...imageLabels, y: "held-out error", log: true },
    ),
    "Error of the held-out images over training, with the shorter stored average, first seed, at the noise levels of each " +
      "configuration's own training distribution (A's is another than the others').",
  ),
])}
${section("Samples", null, pictures, "pictures")}
<section><h2>How it was made</h2><pre>${escapeHtml(results.command)}</pre><p class="note">${escapeHtml(
    `${entries.length} runs of ${duration.toLocaleString("en")} images. All configurations are averaged by power functions afterwards, A too. ` +
      "Errors are weighted denoising errors of held-out images at eight noise levels, the same for all, always with the same noise: 1 is a " +
      "network that knows nothing. Distances are in the space of features named above, and biased upwards, as few images are behind them: " +
      "only distances of one ladder can be compared, and none with published FID.",
  )}</p></section>
</body></html>
`;
}

function factsOf({
  data,
  metric,
  machine,
  date,
  seeds,
  duration,
  preset,
}: LadderResults): (readonly [string, string])[] {
  return [
    [
      "Data",
      `${data.trainingImages} images, ${data.channels === 3 ? "colour" : "grey"}, ${data.classes} classes; ${data.heldOutImages} held out`,
    ],
    ["Budget", `${duration.toLocaleString("en")} images a run, preset ${preset}`],
    ["Seeds", seeds.join(", ")],
    ["Features", metric.features],
    ["Samples", `${metric.samples} behind a distance, ${metric.steps} steps`],
    ["As many images of the data get", metric.floor === null ? "not measured" : metric.floor.toPrecision(3)],
    ["Machine", machine],
    ["Date", date.slice(0, 10)],
  ];
}

/** Charts and tables under a heading, with what the paper found and what is here. */
function section(title: string, finding: Finding | null, parts: readonly string[], kind = "charts"): string {
  const heading = title === "" ? "" : `<h2>${title}</h2>`;
  const words = { shows: "Shows here.", absent: "Does not show here.", open: "Can't be told here." };
  const text =
    finding === null
      ? ""
      : `<div class="finding"><p><b>The paper.</b> ${escapeHtml(finding.paper)}</p>` +
        `<p><b class="${finding.verdict}">${words[finding.verdict]}</b> ${escapeHtml(finding.here)}</p></div>`;
  return `<section>${heading}${text}<div class="${kind}">${parts.join("\n")}</div></section>`;
}

function rungTable(results: LadderResults): string {
  const rows = summarizeRungs(results).map(({ name, entries, error, distance, sigmaRel }) => {
    const [first] = entries;
    if (first === undefined) return "";
    const { adds, fid } = published[first.config];
    const cells = [
      name,
      first.switches === "" ? adds : `with ${first.switches}`,
      first.parameters.toLocaleString("en"),
      `${(first.macs / 1e6).toFixed(1)} M`,
      String(first.learningRate),
      sigmaRel.toFixed(3),
      withSpread(error),
      distance === null ? "" : withSpread(distance),
      first.switches === "" ? fid.toFixed(2) : "",
    ];
    return `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`;
  });
  const heads = ["", "adds", "parameters", "multiply-adds", "rate", "best length", "error", "distance", "paper's FID"];
  return `<table><thead><tr>${heads.map((head) => `<th>${head}</th>`).join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
}

function qualityCharts({ entries, metric }: LadderResults): string[] {
  const values = (of: (entry: LadderEntry) => number | null): { rung: string; seed: number; value: number }[] =>
    entries.flatMap((entry) => {
      const value = of(entry);
      return value === null ? [] : [{ rung: entry.name, seed: entry.seed, value }];
    });
  return [
    figure(
      rungsChart(
        values(({ best }) => best.error),
        "held-out error",
      ),
      "Error of held-out images at each rung's best length. Dots are seeds.",
    ),
    figure(
      rungsChart(
        values(({ best }) => best.distance),
        "Fréchet distance",
        metric.floor,
      ),
      "Fréchet distance of samples. The broken line is what as many images of the data themselves get.",
    ),
  ];
}

const lengthLabels = { x: "length of the average, sigma_rel", y: "held-out error" } as const;
const imageLabels = { x: "thousand images seen" } as const;

/** The first seed's run of each rung. */
function firstSeeds(results: LadderResults): readonly LadderEntry[] {
  return summarizeRungs(results).flatMap(({ entries }) => entries[0] ?? []);
}

function overImages(name: string, { nimg, values }: LadderCurve): NamedCurve {
  return { name, points: nimg.map((each, i) => ({ x: each / 1000, value: values[i] ?? NaN })) };
}

function placesChart(curves: PlaceCurves, label: string): string {
  return curvesChart(
    curves.map((curve) => overImages(curve.place, curve)),
    { ...imageLabels, y: label, log: true },
  );
}

function lastSweep({ name, sweeps }: LadderEntry): NamedCurve {
  return { name, points: (sweeps.at(-1)?.points ?? []).map(({ sigmaRel, error }) => ({ x: sigmaRel, value: error })) };
}

function relativeSweep(entry: LadderEntry): NamedCurve {
  const { name, points } = lastSweep(entry);
  return { name, points: points.map(({ x, value }) => ({ x, value: value / entry.best.error })) };
}

function driftChart({ sweeps }: LadderEntry): string {
  return curvesChart(
    sweeps.map(({ nimg, points }) => ({
      name: `${Math.round(nimg / 1000)}k images`,
      points: points.map(({ sigmaRel, error }) => ({ x: sigmaRel, value: error })),
    })),
    lengthLabels,
  );
}

function groupChart(entry: LadderEntry): string {
  const faint = entry.groups.map(({ group, points }) => ({
    name: group,
    points: points.map(({ sigmaRel, error }) => ({ x: sigmaRel, value: error })),
    isFaint: true,
  }));
  return curvesChart([...faint, { ...lastSweep(entry), name: "all" }], lengthLabels);
}

const groupCaption = ({ name, best }: LadderEntry): string =>
  `${escapeHtml(name)}: one group of weights gets each length, all others stay at ${best.sigmaRel}; the thick line is all at once.`;

const ladderStyle = `
.finding { max-width: 86ch; margin: 0 0 24px; }
.finding p { margin: 0 0 8px; }
.shows { color: #2c8a57; } .absent { color: #b4472f; } .open { color: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--faint); font-weight: 400; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
.note { color: var(--faint); font-size: 14px; max-width: 86ch; }
section:has(h2 + .charts) .charts { grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); }
@media print { .charts { grid-template-columns: 1fr 1fr 1fr; } table { font-size: 10px; } }
`;
