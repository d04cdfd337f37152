import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

/** A picture of a report: PNG bytes and what it shows. */
export type ReportPicture = { readonly caption: string; readonly png: Uint8Array };

export type CurvePoint = { readonly nimg: number; readonly value: number };

/** A curve with its name. */
export type Curve = { readonly name: string; readonly points: readonly CurvePoint[] };

/** Everything that a report shows of a run. */
export type RunReport = {
  readonly title: string;
  /** Short facts, in order: name and value. */
  readonly facts: readonly (readonly [string, string])[];
  readonly pictures: readonly ReportPicture[];
  /** Grids drawn while training, in order. */
  readonly progress: readonly ReportPicture[];
  readonly error: readonly CurvePoint[];
  readonly loss: readonly CurvePoint[];
  readonly learningRate: readonly CurvePoint[];
  readonly gradientNorm: readonly CurvePoint[];
  readonly speed: readonly CurvePoint[];
  /** Validation error by noise level, one curve a level; empty without held-out images. */
  readonly validation: readonly Curve[];
  /** Mean magnitudes of activations and weights by place in the network. */
  readonly activations: readonly Curve[];
  readonly weights: readonly Curve[];
  /** Settings as a config file. */
  readonly settings: string;
  /** Command lines to go on from here. */
  readonly commands: readonly (readonly [string, string])[];
};

const parsePage: (markup: string) => { readonly document: unknown } = parseHTML;
type ChartOptions = Omit<Plot.PlotOptions, "document">;
const draw: (options: ChartOptions & { readonly document: unknown }) => { readonly outerHTML: string } =
  Plot.plot as never;

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** A report as one page that needs nothing else: no network, no script. Prints well, in light and dark. */
export function reportPage(report: RunReport): string {
  const { document } = parsePage("<!doctype html><html><body></body></html>");
  const chart = (options: ChartOptions): string =>
    draw({ width: 520, height: 260, marginLeft: 56, ...options, document }).outerHTML;
  const sections = [
    pictureSection(report.pictures),
    `<section><h2>Training</h2><div class="charts">
${figure(
  curveChart(chart, report.error, { label: "weighted error", type: "log" }),
  "Weighted denoising error, &lambda;(&sigma;) times the squared error: 1 is a network that knows nothing. Dots are intervals, the line their running mean.",
)}
${figure(
  curveChart(chart, report.loss, { label: "loss" }),
  "The loss as it is trained, error / e<sup>u</sup> + u with the learned expectation u(&sigma;) of the error. It may well be negative.",
)}
${figure(curveChart(chart, report.learningRate, { label: "learning rate" }, false), "Learning rate: a ramp, then one over the square root.")}
${figure(curveChart(chart, report.gradientNorm, { label: "gradient norm", type: "log" }), "Norm of the gradient of all weights.")}
${figure(curveChart(chart, report.speed, { label: "images / s" }), "Speed of training, pictures and snapshots left out.")}
${report.validation.length > 0 ? figure(familyChart(chart, report.validation, { label: "held-out error", type: "log" }), "Error on held-out images at fixed noise levels &sigma;, always with the same noise.") : ""}
${report.activations.length > 0 ? figure(familyChart(chart, report.activations, { label: "activations" }), "Root mean square of what layers give, averaged over encoder and decoder by resolution. Magnitude preservation keeps it near 1.") : ""}
${report.weights.length > 0 ? figure(familyChart(chart, report.weights, { label: "weights" }), "Root mean square of stored weights: forced normalization holds it at 1 but for the last step.") : ""}
</div></section>`,
    progressSection(report.progress),
    `<section><h2>From here</h2>${report.commands.map(([what, command]) => `<p>${escape(what)}</p><pre>${escape(command)}</pre>`).join("\n")}</section>`,
    `<section><h2>Settings</h2><pre>${escape(report.settings.trim())}</pre></section>`,
  ];
  const facts = report.facts
    .map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`)
    .join("\n");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(report.title)}</title><style>${style}</style></head>
<body><header><h1>${escape(report.title)}</h1><dl>${facts}</dl></header>
${sections.join("\n")}
</body></html>
`;
}

const figure = (content: string, caption: string): string =>
  `<figure>${content}<figcaption>${caption}</figcaption></figure>`;

function picture({ png, caption }: ReportPicture): string {
  const data = Buffer.from(png).toString("base64");
  return figure(`<img alt="${escape(caption)}" src="data:image/png;base64,${data}">`, escape(caption));
}

function pictureSection(pictures: readonly ReportPicture[]): string {
  if (pictures.length === 0) return "";
  return `<section><h2>Samples</h2><div class="pictures">${pictures.map(picture).join("\n")}</div></section>`;
}

function progressSection(pictures: readonly ReportPicture[]): string {
  if (pictures.length === 0) return "";
  return `<section><h2>The same seeds while it trained</h2><div class="progress">${pictures.map(picture).join("\n")}</div></section>`;
}

type Axis = { readonly label: string; readonly type?: "log" };
type Draw = (options: ChartOptions) => string;

/** Thousands of images, for the horizontal axis. */
const inThousands = (points: readonly CurvePoint[]): { kimg: number; value: number }[] =>
  points.filter(({ value }) => Number.isFinite(value)).map(({ nimg, value }) => ({ kimg: nimg / 1000, value }));

const xAxis = { label: "thousand images seen" } as const;

function curveChart(chart: Draw, points: readonly CurvePoint[], axis: Axis, isNoisy = true): string {
  const data = inThousands(points);
  const window = Math.max(1, Math.round(data.length / 12));
  const line = { x: "kimg", y: "value", stroke: "#2f6fb7", strokeWidth: 2 } as const;
  return chart({
    x: xAxis,
    y: { grid: true, ...axis },
    marks: isNoisy
      ? [
          Plot.dot(data, { x: "kimg", y: "value", r: 1.8, fill: "#2f6fb7", fillOpacity: 0.35, title: titleOf }),
          Plot.line(data, Plot.windowY({ k: window, strict: false }, line)),
        ]
      : [Plot.line(data, line)],
  });
}

function familyChart(chart: Draw, curves: readonly Curve[], axis: Axis): string {
  const data = curves.flatMap(({ name, points }) => inThousands(points).map((point) => ({ ...point, name })));
  const last = curves.flatMap(({ name, points }) => inThousands(points.slice(-1)).map((point) => ({ ...point, name })));
  return chart({
    x: xAxis,
    y: { grid: true, ...axis },
    marginRight: 84,
    color: { type: "ordinal", scheme: "viridis", domain: curves.map(({ name }) => name) },
    marks: [
      Plot.line(data, { x: "kimg", y: "value", stroke: "name", strokeWidth: 1.6 }),
      Plot.dot(data, { x: "kimg", y: "value", r: 1.8, fill: "name", title: titleOf }),
      Plot.text(last, { x: "kimg", y: "value", text: "name", textAnchor: "start", dx: 6, fontSize: 9, fill: "name" }),
    ],
  });
}

function titleOf({ kimg, value }: { readonly kimg: number; readonly value: number }): string {
  return `${kimg.toFixed(1)} thousand images: ${value.toPrecision(4)}`;
}

const style = `
:root { color-scheme: light dark; --ink: #1d1f23; --faint: #6b7280; --paper: #fdfdfb; --line: #e3e3de; --code: #f4f4ef; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e3; --faint: #9aa0a8; --paper: #17181b; --line: #2e3036; --code: #202226; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 40px 32px 80px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-weight: 650; font-size: 30px; margin: 0 0 18px; letter-spacing: -0.01em; }
h2 { font-weight: 600; font-size: 20px; margin: 48px 0 14px; padding-top: 16px; border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 14px 28px; margin: 0; }
dt { color: var(--faint); font-size: 13px; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 28px; }
.pictures { display: flex; flex-wrap: wrap; gap: 28px; }
.progress { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 18px; }
figure { margin: 0; break-inside: avoid; }
figure svg { width: 100%; height: auto; background: transparent; color: var(--ink); }
img { max-width: 100%; image-rendering: pixelated; background: #fff; border-radius: 4px; display: block; }
figcaption { color: var(--faint); font-size: 13px; margin-top: 6px; max-width: 60ch; }
pre { background: var(--code); padding: 12px 14px; border-radius: 6px; overflow-x: auto; font-size: 13px; line-height: 1.45; }
@media print { body { padding: 0; max-width: none; } .charts { grid-template-columns: 1fr 1fr; } }
`;
