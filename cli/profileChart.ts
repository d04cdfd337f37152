import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import {
  type AveragingProfile,
  formatSigmaRel,
  type PostHocFit,
  profileDensity,
  profileTimes,
} from "../diffusion/ema/index.ts";

const width = 860;
const fitsHeight = 400;
const storedHeight = 220;
/** Points of a curve, beside those at its jumps. */
const resolution = 800;
const legendRows = 12;

type ChartOptions = Omit<Plot.PlotOptions, "document"> & { readonly height: number };

/** The packages' own declarations need those of a page's DOM, which this program is compiled without. */
const parsePage: (markup: string) => { readonly document: unknown } = parseHTML;
const draw = Plot.plot as (options: ChartOptions & { readonly document: unknown }) => unknown;

type Point = { readonly time: number; readonly density: number; readonly curve: string; readonly label: string };

/**
 * Averaging profiles as an SVG document. Above, each wanted profile as a wide coloured line and what was fitted to it as a
 * thin dashed one; below, the stored profiles, each scaled to its peak. `fits` belong to `stored`.
 */
export function profileChart(stored: readonly AveragingProfile[], fits: readonly PostHocFit[]): string {
  const end = Math.max(...fits.map(({ wanted }) => wanted.nimg));
  const used = stored.filter(({ nimg }) => nimg <= end);
  const unit = timeUnit(end);
  const times = profileTimes(end, used, resolution);
  const curveOf = (curve: string, label: string, until: number, density: (time: number) => number): Point[] =>
    times
      .filter((time) => time <= until)
      .map((time) => ({ time: time / unit.images, density: density(time), curve, label }));
  // Densities relative to the uniform average's, so that they don't depend on the length of the run.
  const wanted = fits.flatMap(({ wanted: profile }, i) =>
    curveOf(String(i), labelOf(profile), profile.nimg, (time) => end * profileDensity(profile, time)),
  );
  const fitted = fits.flatMap(({ wanted: profile, coefficients }, i) =>
    curveOf(String(i), labelOf(profile), profile.nimg, (time) =>
      stored.reduce((sum, p, j) => sum + end * (coefficients[j] ?? 0) * profileDensity(p, time), 0),
    ),
  );
  const peaks = used.flatMap((profile, i) =>
    curveOf(String(i), labelOf(profile), profile.nimg, (time) => profileDensity(profile, time) / peakOf(profile)),
  );
  const widths = [...new Set(used.map(labelOf))];
  const xDomain = [0, end / unit.images];
  return stack([
    {
      height: fitsHeight,
      x: { domain: xDomain, label: null },
      y: { label: "share of a training time (1: uniform average); wide: wanted, dashed: fitted", grid: true },
      color: colours(fits.map(({ wanted: profile }) => labelOf(profile))),
      marks: [
        Plot.ruleY([0], { stroke: "#888" }),
        Plot.line(wanted, { x: "time", y: "density", z: "curve", stroke: "label", strokeWidth: 5, strokeOpacity: 0.5 }),
        Plot.line(fitted, { x: "time", y: "density", z: "curve", stroke: "#111", strokeDasharray: "4 2" }),
        ...legend(fits),
      ],
    },
    {
      height: storedHeight,
      x: { domain: xDomain, label: `${unit.name} seen` },
      y: { label: `stored averages (${widths.join(", ")}), each scaled to its peak`, ticks: [0, 1] },
      // Greys, because the colours above mean other widths.
      color: { type: "ordinal", domain: widths, range: ["#333", "#888", "#bbb"] },
      marks: [
        Plot.ruleY([0], { stroke: "#888" }),
        Plot.line(peaks, { x: "time", y: "density", z: "curve", stroke: "label", strokeWidth: 1 }),
      ],
    },
  ]);
}

/** Names of widths only; all wanted profiles are of one time, or of few. */
function labelOf(profile: AveragingProfile): string {
  return profile.kind === "power" ? `σ_rel ${formatSigmaRel(profile.sigmaRel)}` : `half-life ${profile.halfLife}`;
}

function peakOf(profile: AveragingProfile): number {
  return profileDensity(profile, profile.nimg);
}

/** One row a fit in the upper left, where profiles are near zero. */
function legend(fits: readonly PostHocFit[]): Plot.Markish[] {
  const rows = fits.slice(0, legendRows).map(({ wanted, relativeError }, row) =>
    Plot.text([{ label: labelOf(wanted), text: `${labelOf(wanted)}   error ${relativeError.toExponential(1)}` }], {
      frameAnchor: "top-left",
      dx: 12,
      dy: 8 + 16 * row,
      text: "text",
      fill: "label",
      fontWeight: 600,
    }),
  );
  const rest = fits.length - legendRows;
  if (rest <= 0) return rows;
  const more = { frameAnchor: "top-left", dx: 12, dy: 8 + 16 * legendRows, fill: "#444" } as const;
  return [...rows, Plot.text([`and ${rest} more`], more)];
}

function colours(domain: readonly string[]): Plot.ScaleOptions {
  return domain.length <= 8
    ? { type: "categorical", domain, scheme: "dark2" }
    : { type: "ordinal", domain, scheme: "turbo" };
}

function timeUnit(end: number): { readonly images: number; readonly name: string } {
  if (end >= 1e6) return { images: 1e6, name: "million images" };
  return end >= 1e4 ? { images: 1e3, name: "thousand images" } : { images: 1, name: "images" };
}

/** Charts below each other in one SVG document with a white ground. */
function stack(charts: readonly ChartOptions[]): string {
  const { document } = parsePage("<!doctype html><html><body></body></html>");
  let y = 0;
  const parts = charts.map((chart, i) => {
    const element = draw({
      ...chart,
      document,
      width,
      marginLeft: 56,
      marginBottom: 36,
      className: `profiles-${i}`,
    });
    const text = markupOf(element).replace("<svg ", `<svg y="${y}" `);
    y += chart.height;
    return text;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}">`,
    `<rect width="${width}" height="${y}" fill="white"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function markupOf(element: unknown): string {
  if (typeof element === "object" && element !== null && "outerHTML" in element) {
    if (typeof element.outerHTML === "string") return element.outerHTML;
  }
  throw new TypeError("the chart has no markup");
}
