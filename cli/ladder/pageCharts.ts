import * as Plot from "@observablehq/plot";
import { draw, horizontalLines, huesOf, nothing, spreadLabels, verticalAxis } from "../train/reportCharts.ts";

export type ChartPoint = { readonly x: number; readonly value: number };

/** A curve over any quantity. What isn't finite is left out. */
export type NamedCurve = {
  readonly name: string;
  readonly points: readonly ChartPoint[];
  readonly colour: string;
  readonly strokeWidth?: number;
  readonly strokeOpacity?: number;
  /** Curves of further seeds stand with their first one's name. */
  readonly isUnlabelled?: boolean;
};

export type CurvesOptions = {
  readonly x: string;
  readonly y: string;
  /** Whether the vertical axis may be logarithmic, if values differ by much. */
  readonly log?: boolean;
  /** Values of other charts that the vertical axis must cover, too, so that they can be compared. */
  readonly cover?: readonly number[];
  /** A point to mark by a ring on each curve. */
  readonly marked?: readonly (ChartPoint & { readonly colour: string })[];
  /** Part of the page's width. */
  readonly size?: "third" | "quarter";
};

/** One scale of colours for all charts that show these names. */
export function coloursOf(names: readonly string[]): (name: string) => string {
  const hues = huesOf(names.length);
  return (name) => hues[names.indexOf(name)] ?? "currentColor";
}

const sizes = {
  third: { width: 360, height: 220, marginLeft: 46 },
  quarter: { width: 268, height: 180, marginLeft: 40 },
} as const;

/** Points that can be pointed at on one curve: more would only make the page heavy. */
const mostDots = 24;

/** Several curves, each named at its end. SVG markup. */
export function curvesChart(curves: readonly NamedCurve[], options: CurvesOptions): string {
  const known = curves
    .map((curve) => ({ ...curve, points: curve.points.filter(({ value }) => Number.isFinite(value)) }))
    .filter(({ points }) => points.length > 0);
  const data = known.flatMap(({ points }) => points);
  if (data.length === 0) return nothing;
  const { cover = [], marked = [], size = "third" } = options;
  const covered = [...data, ...cover.filter(Number.isFinite).map((value) => ({ value }))];
  const values = covered.map(({ value }) => value);
  // Within a factor of three a logarithm looks like a line, and has fewer round numbers.
  const isLog = options.log === true && Math.max(...values) > 3 * Math.min(...values);
  const axis = { label: options.y, ...(isLog ? { type: "log" as const } : {}) };
  const labels = known
    .filter(({ isUnlabelled = false }) => !isUnlabelled)
    .flatMap(({ name, colour, points }) =>
      points.slice(-1).map((end) => ({ ...end, name: shortened(name, 24), colour })),
    );
  const longest = Math.max(0, ...labels.map(({ name }) => name.length));
  return draw({
    ariaLabel: options.y,
    ...sizes[size],
    marginRight: 14 + 6.4 * longest,
    x: { label: options.x, labelArrow: "none", tickSize: 4, nice: false, ticks: 4 },
    y: {
      ...verticalAxis(axis, covered),
      // Room for names that are moved off each other.
      inset: 10,
      // Curves of a chart that doesn't fill its axis don't tell the axis to.
      ...(cover.length > 0 && Math.max(...values) > Math.min(...values)
        ? { domain: [Math.min(...values), Math.max(...values)] }
        : {}),
    },
    marks: [
      ...horizontalLines(axis, covered),
      ...known.flatMap(({ name, colour, points, strokeWidth = 1.7, strokeOpacity = 1 }) => [
        Plot.line(points, { x: "x", y: "value", stroke: colour, strokeWidth, strokeOpacity, strokeLinejoin: "round" }),
        Plot.dot(thinned(points), {
          x: "x",
          y: "value",
          r: 4,
          fill: colour,
          fillOpacity: 0,
          title: ({ x, value }: ChartPoint) =>
            `${name}: ${value.toPrecision(4)} at ${x.toLocaleString("en", { maximumFractionDigits: 3 })}`,
        }),
      ]),
      Plot.dot(marked, { x: "x", y: "value", r: 4, stroke: "colour", fill: "var(--plot-background)", strokeWidth: 2 }),
      Plot.text(
        labels,
        spreadLabels({ x: "x", y: "value", text: "name", textAnchor: "start", dx: 7, fontSize: 10, fill: "colour" }),
      ),
    ],
  });
}

const shortened = (name: string, most: number): string => (name.length > most ? `${name.slice(0, most - 1)}…` : name);

function thinned(points: readonly ChartPoint[]): readonly ChartPoint[] {
  const step = Math.ceil(points.length / mostDots);
  return points.filter((_, i) => (points.length - 1 - i) % step === 0);
}

/** A value of a rung, and what it is of, for who points at it. */
export type RungValue = { readonly rung: string; readonly value: number; readonly source: string };

const rungsWidth = 360;

/** Room for the names of rungs below a chart: aslant if they are too long to stand beside each other. */
function slantedLabels(rungs: readonly string[]): {
  readonly angle: number;
  readonly height: number;
  readonly left: number;
} {
  const widths = rungs.map((rung) => 6.2 * shortened(rung, 34).length);
  const step = (rungsWidth - 60) / rungs.length;
  if (widths.every((width) => width < step)) return { angle: 0, height: 36, left: 52 };
  const angle = 40;
  const [across, down] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  // A name ends below the middle of its rung.
  const left = Math.max(52, ...widths.map((width, i) => across * width - (i + 0.5) * step * 0.8));
  return { angle, height: 24 + down * Math.max(...widths), left };
}

/** Values by rung as dots, their means as bars across. SVG markup. */
export function rungsChart(
  values: readonly RungValue[],
  colourOf: (rung: string) => string,
  {
    label,
    floor = null,
    log = false,
  }: { readonly label: string; readonly floor?: number | null; readonly log?: boolean },
): string {
  if (values.length === 0) return nothing;
  const rungs = [...new Set(values.map(({ rung }) => rung))];
  const means = rungs.map((rung) => {
    const own = values.filter((each) => each.rung === rung);
    return { rung, value: own.reduce((sum, { value }) => sum + value, 0) / own.length };
  });
  const all = floor === null ? values : [...values, { value: floor }];
  const axis = { label, ...(log ? { type: "log" as const } : {}) };
  const slanted = slantedLabels(rungs);
  return draw({
    ariaLabel: label,
    width: rungsWidth,
    height: 194 + slanted.height,
    marginBottom: slanted.height,
    marginLeft: slanted.left,
    x: {
      type: "band",
      domain: rungs,
      label: null,
      padding: 0.4,
      tickSize: 0,
      ...(slanted.angle === 0 ? {} : { tickRotate: -slanted.angle }),
      tickFormat: (rung: string) => shortened(rung, 34),
    },
    y: verticalAxis(axis, all),
    marks: [
      ...horizontalLines(axis, all),
      ...(floor === null ? [] : [Plot.ruleY([floor], { stroke: "currentColor", strokeDasharray: "3 3" })]),
      Plot.tickY(means, { x: "rung", y: "value", stroke: "currentColor", strokeWidth: 1.5 }),
      Plot.dot(values, {
        x: "rung",
        y: "value",
        r: 4,
        fill: ({ rung }: RungValue) => colourOf(rung),
        fillOpacity: 0.85,
        title: ({ source, value }: RungValue) => `${source}: ${value.toPrecision(4)}`,
      }),
    ],
  });
}
