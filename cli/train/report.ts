import { type Curve, type CurvePoint, curveChart, familyChart } from "./reportCharts.ts";

/** A picture of a report: PNG bytes and what it shows. */
export type ReportPicture = { readonly caption: string; readonly png: Uint8Array };

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

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** A report as one page that needs nothing else: no network, no script. Prints well, in light and dark. */
export function reportPage(report: RunReport): string {
  const facts = report.facts.map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`);
  const commands = report.commands.map(([what, command]) => `<p>${escape(what)}</p><pre>${escape(command)}</pre>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(report.title)}</title><style>${style}</style></head>
<body><header><h1>${escape(report.title)}</h1><dl>${facts.join("\n")}</dl></header>
${section("Samples", "pictures", report.pictures.map(picture))}
${section("Training", "charts", chartsOf(report))}
${section("The same seeds while it trained", "progress", report.progress.map(picture))}
${section("From here", "commands", commands)}
${section("Settings", "settings", [settingsTable(report.settings)])}
</body></html>
`;
}

/** Nothing if there is nothing in it. */
function section(title: string, kind: string, parts: readonly string[]): string {
  if (parts.length === 0) return "";
  return `<section><h2>${title}</h2><div class="${kind}">${parts.join("\n")}</div></section>`;
}

function figure(content: string, caption: string): string {
  return `<figure>${content}<figcaption>${caption}</figcaption></figure>`;
}

function picture({ png, caption }: ReportPicture): string {
  const data = Buffer.from(png).toString("base64");
  return figure(`<img alt="${escape(caption)}" src="data:image/png;base64,${data}">`, escape(caption));
}

function chartsOf(report: RunReport): string[] {
  const charts = [
    figure(
      curveChart(report.error, { label: "weighted error", type: "log" }),
      "Weighted denoising error, &lambda;(&sigma;) times the squared error: about 1 for a network that knows nothing. " +
        "Dots are status intervals, the line is their running mean.",
    ),
    figure(
      curveChart(report.loss, { label: "loss" }),
      "The loss as it is trained: error / e<sup>u</sup> + u, where u(&sigma;) learns the logarithm of the error to " +
        "expect. It tends to 1 + the mean of u, and is negative where errors are small: that is no mistake.",
    ),
    figure(
      curveChart(report.learningRate, { label: "learning rate" }, false),
      "Learning rate: a ramp, then constant, then falling by the inverse square root.",
    ),
    figure(
      curveChart(report.gradientNorm, { label: "gradient norm", type: "log" }),
      "Norm of the gradient of all weights.",
    ),
    figure(
      curveChart(report.speed, { label: "images / s" }),
      "Speed of training; pictures and snapshots are left out.",
    ),
  ];
  if (report.validation.length > 0) {
    charts.push(
      figure(
        familyChart(report.validation, { label: "held-out error", type: "log" }),
        "Weighted error on held-out images at fixed noise levels &sigma;, always with the same noise.",
      ),
    );
  }
  if (report.activations.length > 0) {
    charts.push(
      figure(
        familyChart(report.activations, { label: "activations" }),
        "Root mean square of what layers give, averaged over encoder and decoder by resolution. " +
          "Magnitude preservation keeps it near 1.",
      ),
    );
  }
  if (report.weights.length > 0) {
    charts.push(
      figure(
        familyChart(report.weights, { label: "weights" }),
        "Root mean square of stored weights: forced normalization holds it at 1 but for the last step.",
      ),
    );
  }
  return charts;
}

/** Lines of `name = value`, side by side in columns. */
function settingsTable(settings: string): string {
  const rows = settings
    .trim()
    .split("\n")
    .map((line) => {
      const [name = "", ...value] = line.split(" = ");
      return `<div><dt>${escape(name)}</dt><dd>${escape(value.join(" = "))}</dd></div>`;
    });
  return `<dl>${rows.join("\n")}</dl>`;
}

const style = `
:root { color-scheme: light dark; --ink: #1d1f23; --faint: #6a6f78; --paper: #fdfdfb; --line: #e6e6e0; --code: #f4f4ef; --accent: #2f6fb7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e3; --faint: #9aa0a8; --paper: #17181b; --line: #2c2e34; --code: #202226; --accent: #6ea8e6; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 48px 32px 80px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-weight: 600; font-size: 32px; line-height: 1.2; margin: 0 0 24px; letter-spacing: -0.015em; }
h2 { font-weight: 600; font-size: 20px; margin: 52px 0 18px; padding-top: 18px; border-top: 1px solid var(--line); }
header dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 16px 28px; margin: 0; }
dt { color: var(--faint); font-size: 13px; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 32px 36px; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); gap: 32px 36px; }
.progress { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 22px; }
figure { margin: 0; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; color: var(--faint); --plot-background: var(--paper); }
figure svg text { font-size: 11px; font-variant-numeric: tabular-nums; }
img { width: 100%; image-rendering: pixelated; background: #fff; border-radius: 3px; display: block; }
figcaption { color: var(--faint); font-size: 13px; margin-top: 8px; max-width: 62ch; }
.nothing { color: var(--faint); font-style: italic; margin: 0; padding: 60px 0; text-align: center; }
.commands p { margin: 0 0 6px; }
pre { background: var(--code); margin: 0 0 18px; padding: 12px 14px; border-radius: 6px; font-size: 13px; line-height: 1.45;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.settings dl { columns: 260px; column-gap: 36px; margin: 0; font: 13px/1.5 ui-monospace, monospace; }
.settings dl div { display: flex; justify-content: space-between; gap: 16px; padding: 3px 0;
  border-bottom: 1px solid var(--line); break-inside: avoid; }
.settings dd { text-align: right; }
@media print {
  :root { --ink: #000; --faint: #555; --paper: #fff; --line: #ddd; --code: #f4f4f4; --accent: #2f6fb7; color-scheme: light; }
  body { padding: 0; max-width: none; font-size: 12px; }
  .charts, .pictures { grid-template-columns: 1fr 1fr; gap: 18px; }
  .progress { grid-template-columns: repeat(4, 1fr); }
  h2 { break-after: avoid; }
}
`;
