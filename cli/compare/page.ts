import { escapeHtml, figure, pageStyle } from "../page.ts";
import { coloursOf, curvesChart, type NamedCurve } from "../ladder/pageCharts.ts";
import type { PlaceCurves } from "../runs/curves.ts";
import type { MeasuredRun } from "./measure.ts";
import { metricColumns, metricNotes, metricRows } from "./metricTable.ts";
import type { ComparedChange, ComparisonResults } from "./results.ts";
import { baseName } from "./sides.ts";
import { sweepText } from "./sweep.ts";
import { inPercent, verdictText } from "./words.ts";

/** A comparison as one page that needs nothing else, in light and dark, on a screen and on paper. */
export function comparisonPage(results: ComparisonResults): string {
  const title = `${results.changes.map(({ change }) => change).join("; ")} beside ${results.base}`;
  const facts: readonly (readonly [string, string])[] = [
    [
      "Data",
      `${count(results.data.trainingImages)} images; ${count(results.data.heldOutImages)} held out, the same in every run`,
    ],
    ["Base", results.base],
    ["Budget", `${count(results.duration)} images a run of the base`],
    ["Measured", `held-out error of the average of sigma_rel ${results.length}`],
    ["Machine", results.machine],
    ["Date", results.date.slice(0, 10)],
  ];
  const list = facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`);
  const sections = results.changes.map((change) => changeSection(change, results));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title><style>${pageStyle}${comparisonStyle}</style></head>
<body><header><h1>${escapeHtml(title)}</h1><dl>${list.join("\n")}</dl>
<p class="note">Runs of a pair share their seed: the same first weights where these have one shape, the same images in the same order, the same
noise. What differs between them is the change and what follows from it. Intervals are of sequences: together they hold with a probability of
${percentOf(results.level)} however often one looks and whenever one stops; differences of less than ${percentOf(results.margin)} count as none.</p></header>
${verdictTable(results)}
${metricSection(results)}
${sweepSection(results)}
${sections.join("\n")}
<section><h2>How it was made</h2><pre>${escapeHtml(results.command)}</pre></section>
</body></html>
`;
}

const count = (value: number): string => value.toLocaleString("en");
const percentOf = (share: number): string => `${Number((100 * share).toPrecision(4))} %`;

function verdictTable(results: ComparisonResults): string {
  const rows = results.changes.map((change) => {
    const { verdict, ratio, low, high, seeds, pairedDeviation, unpairedDeviation } = change;
    const cells = [
      inPercent(ratio),
      seeds.length < 2 || low === 0 ? "not known yet" : `${inPercent(low)} to ${inPercent(high)}`,
      String(seeds.length),
      shareOf(pairedDeviation),
      shareOf(unpairedDeviation),
    ];
    return `<tr><td>${escapeHtml(change.change)}</td><td class="${verdict}">${verdict}</td>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  });
  const names = ["change", "verdict", "error", "interval", "pairs", "chance, paired", "chance, unpaired"];
  return `<section><h2>Verdicts</h2><table><thead><tr>${names.map((name) => `<th>${name}</th>`).join("")}</tr></thead>
<tbody>${rows.join("\n")}</tbody></table></section>`;
}

function metricSection(results: ComparisonResults): string {
  const { samples } = results;
  if (samples === null) return "";
  const cellsOf = (cells: readonly string[], tag: "td" | "th"): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
  const rows = metricRows(results).map((cells) => cellsOf(cells, "td"));
  const notes = metricNotes(results, samples).map((note) => `<p class="note">${escapeHtml(note)}</p>`);
  return `<section><h2>Generated images</h2><table><thead>${cellsOf(metricColumns, "th")}</thead>
<tbody>${rows.join("\n")}</tbody></table>
${notes.join("\n")}</section>`;
}

function sweepSection({ sweeps }: ComparisonResults): string {
  const [first] = sweeps;
  if (first === undefined) return "";
  const colourOf = coloursOf(sweeps.map(({ side }) => side));
  const curves = sweeps.map(({ side, tried }): NamedCurve => {
    const points = tried.map(({ value, error }) => ({ x: Math.log10(value), value: error }));
    const sorted = points.filter((point) => Number.isFinite(point.value)).sort((a, b) => a.x - b.x);
    return { name: side, colour: colourOf(side), points: sorted };
  });
  const chart = curvesChart(curves, { x: `log10 of ${first.setting}`, y: "held-out error", log: true });
  const lines = sweeps.map((sweep) => `<p>${escapeHtml(sweepText(sweep))}.</p>`);
  return `<section><h2>Best ${escapeHtml(first.setting)} of each side</h2>${lines.join("\n")}
<div class="charts">${figure(chart, "Held-out error of runs of one seed, which no pair has. Those that diverged aren't drawn.")}</div></section>`;
}

const shareOf = (deviation: number): string => (Number.isNaN(deviation) ? "" : `${(100 * deviation).toPrecision(2)} %`);

function changeSection(change: ComparedChange, results: ComparisonResults): string {
  const colourOf = coloursOf([baseName, change.change]);
  const sides = [baseName, change.change];
  const runs = results.runs.filter(({ side, seed }) => sides.includes(side) && change.seeds.includes(seed));
  const curves = runs.map((run): NamedCurve => {
    const points = run.validation.nimg.map((nimg, i) => ({ x: nimg / 1000, value: run.validation.values[i] ?? NaN }));
    const isFirst = run.seed === change.seeds[0];
    return {
      name: run.side,
      colour: colourOf(run.side),
      points,
      isUnlabelled: !isFirst,
      strokeOpacity: isFirst ? 1 : 0.45,
    };
  });
  const last = change.seeds[0];
  const charts = [
    figure(
      curvesChart(curves, { x: "thousand images seen", y: "held-out error", log: true }),
      "Held-out error of each run while it trains, with its shortest stored average and at its own noise levels.",
    ),
    figure(
      levelChart(change, runs),
      "Ratio of errors by noise level: pairs faint, their geometric mean in full. Below 1 the change is better.",
    ),
    placeFigure(
      runs,
      last,
      ({ activations }) => activations,
      "Root mean square of activations, mean over the layers of each place.",
    ),
    placeFigure(runs, last, ({ updates }) => updates, "Effective learning rate, mean over the layers of each place."),
  ];
  return `<section><h2>${escapeHtml(change.change)}</h2><p class="${change.verdict}">${escapeHtml(verdictText(change, results))}</p>
<div class="charts">${charts.join("\n")}</div></section>`;
}

function levelChart({ change, levels, seeds }: ComparedChange, runs: readonly MeasuredRun[]): string {
  const ofSeed = (side: string, seed: number): MeasuredRun | undefined =>
    runs.find((run) => run.side === side && run.seed === seed);
  const faint = seeds.map((seed): NamedCurve => {
    const [changed, base] = [ofSeed(change, seed), ofSeed(baseName, seed)];
    const points = (changed?.levels ?? []).map(({ sigma, error }, i) => ({
      x: Math.log10(sigma),
      value: (error ?? NaN) / (base?.levels[i]?.error ?? NaN),
    }));
    return {
      name: `seed ${seed}`,
      colour: "var(--faint)",
      points,
      isUnlabelled: true,
      strokeOpacity: 0.5,
      strokeWidth: 1,
    };
  });
  const mean: NamedCurve = {
    name: "mean",
    colour: "var(--ink)",
    points: levels.map(({ sigma, ratio }) => ({ x: Math.log10(sigma), value: ratio })),
    strokeWidth: 2.4,
  };
  return curvesChart([...faint, mean], { x: "noise level, log10 of sigma", y: "error / base's", cover: [1] });
}

/** One seed's curves of both sides, place by place: the base dashed out by its colour. */
function placeFigure(
  runs: readonly MeasuredRun[],
  seed: number | undefined,
  curvesOf: (run: MeasuredRun) => PlaceCurves,
  caption: string,
): string {
  const own = runs.filter((run) => run.seed === seed);
  const colourOf = coloursOf([...new Set(own.map(({ side }) => side))]);
  const curves = own.flatMap((run) =>
    curvesOf(run).map(
      ({ place, nimg, values }): NamedCurve => ({
        name: `${run.side}, ${place}`,
        colour: colourOf(run.side),
        points: nimg.map((each, i) => ({ x: each / 1000, value: values[i] ?? NaN })),
        strokeOpacity: 0.75,
        strokeWidth: 1.2,
      }),
    ),
  );
  return figure(
    curvesChart(curves, { x: "thousand images seen", y: "magnitude", log: true }),
    `${caption} Seed ${String(seed)}.`,
  );
}

const comparisonStyle = `
.better { color: #2c8a57; } .worse, .diverges { color: #c0502f; } .same, .undecided { color: var(--faint); }
@media (prefers-color-scheme: dark) { .better { color: #57b884; } .worse, .diverges { color: #e08060; } }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: 6px 0 6px 14px; border-bottom: 1px solid var(--line); vertical-align: baseline; }
th { color: var(--faint); font-weight: 400; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
th:first-child, td:first-child { padding-left: 0; overflow-wrap: anywhere; }
.note { color: var(--faint); font-size: 14px; max-width: 86ch; margin: 22px 0 0; }
`;
