import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

export type CurvePoint = { readonly nimg: number; readonly value: number };

/** A curve with its name. */
export type Curve = { readonly name: string; readonly points: readonly CurvePoint[] };

/** How a vertical axis is drawn. */
export type Axis = { readonly label: string; readonly type?: "log" };

export type ChartOptions = Omit<Plot.PlotOptions, "document">;

const parsePage: (markup: string) => { readonly document: unknown } = parseHTML;
// Plot's types want a browser's document; the one of linkedom has all that Plot calls.
const plot: (options: ChartOptions & { readonly document: unknown }) => { readonly outerHTML: string } =
  Plot.plot as never;

const size = { width: 520, height: 250, marginLeft: 52, marginTop: 26, marginBottom: 36 } as const;
const horizontal = { label: "thousand images seen", labelArrow: "none", tickSize: 4, nice: false } as const;

/** A measured curve: its points, and their running mean if they are noisy. SVG markup. */
export function curveChart(points: readonly CurvePoint[], axis: Axis, isNoisy = true): string {
  const data = inThousands(points);
  if (data.length === 0) return nothing;
  const window = Math.max(1, Math.round(data.length / 12));
  const line = { x: "kimg", y: "value", stroke: "var(--accent)", strokeWidth: 1.8, strokeLinejoin: "round" } as const;
  // Points of a smooth curve are there to be pointed at.
  const dots = { x: "kimg", y: "value", fill: "var(--accent)", title: titleOf } as const;
  return draw({
    ariaLabel: axis.label,
    x: horizontal,
    y: verticalAxis(axis, data),
    marks: [
      ...horizontalLines(axis, data),
      Plot.line(data, isNoisy ? Plot.windowY({ k: window, strict: false }, line) : line),
      Plot.dot(data, isNoisy ? { ...dots, r: 2, fillOpacity: 0.45 } : { ...dots, r: 4, fillOpacity: 0 }),
    ],
  });
}

/** Several curves, each named at its end. SVG markup. */
export function familyChart(curves: readonly Curve[], axis: Axis): string {
  const named = curves.map(({ name, points }) => inThousands(points).map((point) => ({ ...point, name })));
  const data = named.flat();
  if (data.length === 0) return nothing;
  const ends = named.flatMap((points) => points.slice(-1));
  return draw({
    ariaLabel: axis.label,
    x: horizontal,
    y: verticalAxis(axis, data),
    marginRight: 76,
    color: { type: "ordinal", domain: curves.map(({ name }) => name), range: huesOf(curves.length) },
    marks: [
      ...horizontalLines(axis, data),
      // Said outright, a line per name isn't wondered at, though every one may have a single point.
      Plot.line(data, { x: "kimg", y: "value", z: "name", stroke: "name", strokeWidth: 1.6, strokeLinejoin: "round" }),
      Plot.dot(data, { x: "kimg", y: "value", r: 2, fill: "name", title: titleOf }),
      Plot.text(
        ends,
        spreadLabels({ x: "kimg", y: "value", text: "name", textAnchor: "start", dx: 7, fontSize: 10, fill: "name" }),
      ),
    ],
  });
}

/** In place of a chart without data. */
export const nothing = '<p class="nothing">nothing was measured</p>';

/** A chart of the report's size. SVG markup. */
export function draw(options: ChartOptions): string {
  const { document } = parsePage("<!doctype html><html><body></body></html>");
  return plot({ ...size, ...options, document }).outerHTML;
}

type Measured = { readonly value: number };
type Datum = Measured & { readonly kimg: number };

const inThousands = (points: readonly CurvePoint[]): Datum[] =>
  points.filter(({ value }) => Number.isFinite(value)).map(({ nimg, value }) => ({ kimg: nimg / 1000, value }));

function titleOf({ kimg, value }: Datum): string {
  return `${kimg.toLocaleString("en", { maximumFractionDigits: 1 })} thousand images: ${value.toPrecision(4)}`;
}

/** Logarithmic only where all values are positive and differ by much. */
function isLogarithmic({ type }: Axis, data: readonly Measured[]): boolean {
  const values = data.map(({ value }) => value);
  return type === "log" && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 1.5;
}

/** The vertical axis of values. */
export function verticalAxis(axis: Axis, data: readonly Measured[]): Plot.ScaleOptions {
  const values = data.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  // What is as good as constant gets a range of its own; else it lies on the frame, or rounding fills the chart.
  const room = Math.max(Math.abs(high) * 0.05, 1e-6);
  const domain = high - low < 1e-3 * Math.abs(high) ? { domain: [low - room, high + room] } : {};
  const isLog = isLogarithmic(axis, data);
  return { label: axis.label, labelArrow: "none", inset: 5, ...domain, ...(isLog ? { type: "log" } : {}) };
}

/** Rules across the chart with their numbers, instead of an axis with ticks. */
export function horizontalLines(axis: Axis, data: readonly Measured[]): Plot.Markish[] {
  const ticks = isLogarithmic(axis, data) ? { ticks: logarithmicTicks(data) } : { ticks: 5 };
  return [
    Plot.gridY({ ...ticks, stroke: "var(--line)", strokeOpacity: 1 }),
    Plot.axisY({ ...ticks, tickSize: 0, tickFormat: (value: number) => plainNumber(value), label: axis.label }),
  ];
}

/** Of 1, 2 and 5 times powers of ten those in range; all tenths of a power if these are too few. */
function logarithmicTicks(data: readonly Measured[]): number[] {
  const values = data.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const powers: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) powers.push(power);
  const within = (factors: readonly number[]): number[] =>
    powers
      .flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)))
      .filter((n) => n >= low && n <= high);
  const candidates = [[1], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]].map(within);
  return candidates.find((ticks) => ticks.length >= 3) ?? candidates.at(-1) ?? [];
}

/** `0.002`, `1,200`: no powers of ten where people can do without. */
function plainNumber(value: number): string {
  const isPlain = value === 0 || (Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6);
  return isPlain ? Number(value.toPrecision(6)).toLocaleString("en", { maximumSignificantDigits: 6 }) : String(value);
}

/** From blue over green to red, at a lightness that can be read on white and on black. */
export function huesOf(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const hue = 225 - (225 * i) / Math.max(count - 1, 1);
    // Yellow and green look lighter than they are said to be.
    const lightness = 52 - 14 * Math.max(0, 1 - Math.abs(hue - 95) / 70);
    return `hsl(${hue.toFixed(0)} 58% ${lightness.toFixed(0)}%)`;
  });
}

const labelDistance = 11;

/** Moves labels up and down until none covers another. */
export function spreadLabels<T>(options: T): T {
  const move: Plot.InitializerFunction = (data, facets, channels, scales) => {
    const { y } = channels;
    const scale = scales.y;
    if (y === undefined || scale === undefined) return {};
    const positions = Array.from(y.value as unknown as ArrayLike<number>, (value) => Number(scale(value)));
    return { data, facets, channels: { y: { value: spread(positions, labelDistance) } } };
  };
  return Plot.initializer(options as object, move) as T;
}

/**
 * Positions at least `distance` apart, in the order they had, as near to where they were as that allows: groups that touch are
 * centred on the mean of where their members wanted to be.
 */
export function spread(positions: readonly number[], distance: number): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => (positions[a] ?? 0) - (positions[b] ?? 0));
  type Group = { readonly members: readonly number[]; readonly start: number };
  const startOf = (members: readonly number[]): number =>
    members.reduce((sum, member, i) => sum + (positions[member] ?? 0) - i * distance, 0) / members.length;
  const groups: Group[] = [];
  for (const each of order) {
    let group: Group = { members: [each], start: positions[each] ?? 0 };
    for (let last = groups.at(-1); last !== undefined; last = groups.at(-1)) {
      if (last.start + last.members.length * distance <= group.start) break;
      groups.pop();
      const members = [...last.members, ...group.members];
      group = { members, start: startOf(members) };
    }
    groups.push(group);
  }
  const moved = [...positions];
  for (const { members, start } of groups) {
    for (const [i, member] of members.entries()) moved[member] = start + i * distance;
  }
  return moved;
}
