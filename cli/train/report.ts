import { escapeHtml as escape, figure, pageStyle as style, pngFigure } from "../page.ts";
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

/** A report as one page that needs nothing else: no network, no script. Prints well, in light and dark. */
export function reportPage(report: RunReport): string {
  const facts = report.facts.map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`);
  const commands = report.commands.map(([what, command]) => `<p>${escape(what)}</p><pre>${escape(command)}</pre>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(report.title)}</title><style>${style}</style></head>
<body><header><h1>${escape(report.title)}</h1><dl>${facts.join("\n")}</dl></header>
${section(
  "Samples",
  "pictures",
  report.pictures.map(({ png, caption }) => pngFigure(png, caption)),
)}
${section("Training", "charts", chartsOf(report))}
${section(
  "The same seeds while it trained",
  "progress",
  report.progress.map(({ png, caption }) => pngFigure(png, caption)),
)}
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
