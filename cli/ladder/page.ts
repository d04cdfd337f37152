import { eventLoopTurn } from "../../engine/index.ts";
import { escapeHtml, figure, pageStyle, pngFigure } from "../page.ts";
import {
  activationSection,
  driftSection,
  groupSection,
  ladderSection,
  type PageSection,
  sweepSection,
  trainingSection,
  updateSection,
  weightSection,
} from "./pageSections.ts";
import type { LadderEntry, LadderResults } from "./results.ts";
import { summarizeRungs } from "./table.ts";

export type LadderPageOptions = {
  /** The bytes of a picture that the results name. */
  readonly samplesOf: (path: string) => Promise<Uint8Array>;
};

/** A ladder's results as one page that needs nothing else, in light and dark, on a screen and on paper. */
export async function ladderPage(results: LadderResults, { samplesOf }: LadderPageOptions): Promise<string> {
  const { data } = results;
  const title = `The ladder on ${data.name} at ${data.resolution}x${data.resolution}`;
  const facts = factsOf(results).map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`);
  const sections: PageSection[] = [];
  for (const sectionOf of [
    ladderSection,
    activationSection,
    weightSection,
    updateSection,
    sweepSection,
    driftSection,
    groupSection,
    trainingSection,
  ]) {
    sections.push(sectionOf(results));
    await eventLoopTurn();
  }
  sections.push({ title: "Samples", findings: [], parts: await picturesOf(results, samplesOf), kind: "samples" });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title><style>${pageStyle}${ladderStyle}</style></head>
<body><header><h1>${escapeHtml(title)}</h1><dl>${facts.join("\n")}</dl>
<p class="note">Set beside what Karras et al. found on ImageNet-512 in <a href="https://arxiv.org/abs/2312.02696">Analyzing and
Improving the Training Dynamics of Diffusion Models</a> (2024). Two sets of runs count as different where their means are further
apart than both their standard deviations together, by ratio; the standard deviations are over seeds, and over rungs where several
are taken together. Errors and distances of two rungs are compared seed by seed, as the runs of a seed share their random numbers: they
count as different where the interval of the ratio's geometric mean, which holds with 95 % however many seeds are added, leaves 1 out. Fewer
than three seeds tell nothing of that; one run alone has no spread.</p></header>
${sections.map(sectionMarkup).join("\n")}
${makingMarkup(results)}
</body></html>
`;
}

const verdicts = {
  shows: "Shows here.",
  not: "Does not show here.",
  unclear: "Can't be told here.",
  missing: "Not measured here.",
} as const;

/** Charts and tables under a heading, with what the paper found and what is here. */
function sectionMarkup({ title, findings, parts, kind = "charts" }: PageSection): string {
  // One claim of the paper may be judged by several quantities.
  const claims = [...new Set(findings.map(({ paper }) => paper))];
  const texts = claims.map((claim) => {
    const judged = findings
      .filter(({ paper }) => paper === claim)
      .map(({ verdict, sentence }) => `<p><b class="${verdict}">${verdicts[verdict]}</b> ${escapeHtml(sentence)}</p>`);
    return `<div class="finding"><p><b>The paper.</b> ${escapeHtml(claim)}</p>${judged.join("\n")}</div>`;
  });
  const all = texts.length === 0 ? "" : `<div class="findings">${texts.join("\n")}</div>`;
  const content = parts.length === 0 ? "" : `<div class="${kind}">${parts.join("\n")}</div>`;
  return `<section><h2>${escapeHtml(title)}</h2>${all}${content}</section>`;
}

function factsOf({ data, metric, machine, date, seeds, duration, preset }: LadderResults): [string, string][] {
  const count = (value: number): string => value.toLocaleString("en");
  const colour = data.channels === 3 ? "colour" : data.channels === 1 ? "grey" : `${data.channels} channels`;
  return [
    [
      "Data",
      `${count(data.trainingImages)} images, ${colour}, ${data.classes} classes; ${count(data.heldOutImages)} held out`,
    ],
    ["Budget", `${count(duration)} images a run, preset ${preset}`],
    ["Seeds", seeds.join(", ")],
    ["Features", metric.features],
    ["Samples", `${count(metric.samples)} behind a distance, ${metric.steps} steps`],
    ["Distance of as many real images", metric.floor === null ? "not measured" : metric.floor.toPrecision(3)],
    ["Machine", machine],
    ["Date", date.slice(0, 10)],
  ];
}

/** The first seed's samples of each rung. A picture that was lost says so, in its place. */
async function picturesOf(results: LadderResults, samplesOf: LadderPageOptions["samplesOf"]): Promise<string[]> {
  const firsts = summarizeRungs(results).flatMap(({ entries }) => entries[0] ?? []);
  const pictureOf = async (entry: LadderEntry): Promise<string> => {
    const { name, seed, samples, best } = entry;
    const distance = best.distance === null ? "" : `, distance ${best.distance.toPrecision(4)}`;
    const caption = `${name}: sigma_rel ${best.sigmaRel}, seed ${seed}${distance}`;
    try {
      return pngFigure(await samplesOf(samples), caption);
    } catch {
      const lost = `<p class="nothing">${escapeHtml(`${samples} can't be read`)}</p>`;
      return figure(lost, escapeHtml(caption));
    }
  };
  return Promise.all(firsts.map(pictureOf));
}

function makingMarkup({ command, entries, duration, seeds, metric }: LadderResults): string {
  const seconds = entries.reduce((sum, { trainingSeconds }) => sum + trainingSeconds, 0);
  const floor =
    metric.floor === null
      ? "What as many real images would get wasn't measured."
      : `As many real images get ${metric.floor.toPrecision(3)} against the others: no model can be expected to do better.`;
  const paragraphs = [
    `${entries.length} runs of ${duration.toLocaleString("en")} images with ${seeds.length === 1 ? "one seed" : `${seeds.length} seeds`}, ` +
      `${(seconds / 3600).toPrecision(2)} hours of training in all. All configurations are averaged by power functions afterwards, ` +
      "A too, which the paper averages as EDM does.",
    "Errors are weighted denoising errors of held-out images, mean over noise levels that are the same for all, always with the same noise: " +
      "1 is a network that knows nothing. Each seed holds other images out, so that its errors differ from another's by that, too.",
    `Distances are Fréchet distances in the space of ${metric.features}, of ${metric.samples.toLocaleString("en")} samples made in ` +
      `${metric.steps} steps. So few bias them upwards, by the more the fewer there are: they can be compared within this ladder only, ` +
      `and with no published FID. ${floor}`,
  ];
  const texts = paragraphs.map((text) => `<p class="note">${escapeHtml(text)}</p>`);
  return `<section><h2>How it was made</h2><pre>${escapeHtml(command)}</pre>${texts.join("\n")}</section>`;
}

const ladderStyle = `
a { color: var(--accent); }
.findings { display: grid; gap: 16px 36px; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); margin: 0 0 28px; }
.finding { max-width: 80ch; break-inside: avoid; }
.finding p { margin: 0 0 6px; }
.shows { color: #2c8a57; } .not { color: #c0502f; } .unclear, .missing { color: var(--faint); }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 28px 32px; }
.charts.narrow { grid-template-columns: repeat(auto-fill, minmax(min(250px, 100%), 1fr)); gap: 22px 24px; }
.charts .whole { grid-column: 1 / -1; overflow-x: auto; }
.charts .double { grid-column: span 2; max-width: 380px; }
.charts h3 { grid-column: 1 / -1; font-size: 15px; font-weight: 600; margin: 4px 0 -12px; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 26px; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: 6px 0 6px 14px; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: baseline; }
th { color: var(--faint); font-weight: 400; white-space: normal; vertical-align: bottom; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
th:first-child, td:first-child { padding-left: 0; }
td:nth-child(-n+2) { white-space: normal; overflow-wrap: anywhere; }
.note { color: var(--faint); font-size: 14px; max-width: 86ch; }
header .note { margin: 22px 0 0; }
@media (prefers-color-scheme: dark) { .shows { color: #57b884; } .not { color: #e08060; } }
@media print {
  .charts { grid-template-columns: 1fr 1fr 1fr; gap: 14px; }
  .charts.narrow { grid-template-columns: repeat(4, 1fr); gap: 12px; } .samples { grid-template-columns: repeat(4, 1fr); }
  table { font-size: 9px; } .shows { color: #2c8a57; } .not { color: #c0502f; }
}
`;
