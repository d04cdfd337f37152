import * as Plot from "@observablehq/plot";
import { colours, drawn, ink } from "./plot.ts";
import type { Row } from "./row.ts";

type Point = { readonly size: string; readonly value: number; readonly engine: string; readonly time: number };

/** Ours, and the peer beside it. */
const engines: Readonly<Record<string, string>> = { "evenkeel wasm": "#3d86d8", PyTorch: colours["PyTorch"] ?? ink };

/** Time per arithmetic may rise by so much from one size to a larger one. */
export const mostGrowth = 1.25;

/** The points of rows that are named like `training step (a), width 32`. */
function pointsOf(rows: readonly Row[]): readonly Point[] {
  const points = rows.flatMap(({ name, quantity, measurements }) => {
    const [, size, value] = /, (\w+) (\d+)$/.exec(name) ?? [];
    if (size === undefined || quantity === undefined) return [];
    return measurements.flatMap(({ contender, median }): Point[] =>
      contender in engines ? [{ size, value: Number(value), engine: contender, time: median / quantity.amount }] : [],
    );
  });
  const smallest = (of: Point): number =>
    points.find(({ size, engine }) => size === of.size && engine === of.engine)?.time ?? NaN;
  return points.map((point) => ({ ...point, time: point.time / smallest(point) }));
}

/** The largest ratio of our time per arithmetic to that of a smaller size, for one way to grow; undefined without rows. */
export function growthOf(rows: readonly Row[], kind: string): number | undefined {
  const own = pointsOf(rows.filter(({ group }) => group === "growth")).filter(
    ({ engine, size }) => engine === "evenkeel wasm" && size === kind,
  );
  const rises = own.flatMap((point, i) => own.slice(0, i).map((before) => point.time / before.time));
  return rises.length === 0 ? undefined : Math.max(...rises);
}

/** Time per arithmetic as a network grows, relative to that of the smallest, a panel for each way to grow: an SVG document. */
export function growthPlot(rows: readonly Row[]): string {
  const points = pointsOf(rows.filter(({ group }) => group === "growth"));
  const names = Object.keys(engines).filter((name) => points.some(({ engine }) => engine === name));
  const last = points.filter((point, i) => !points.slice(i + 1).some((other) => isOfOneLine(point, other)));
  const sizes = [...new Set(points.map(({ size }) => size))];
  // The names of both stand behind the last panel's lines.
  const labelOf = ({ size, engine, time }: Point): string =>
    size === sizes.at(-1) ? `${time.toFixed(2)} ${engine}` : time.toFixed(2);
  return drawn((document) => ({
    document,
    width: 880,
    height: 300,
    marginTop: 44,
    marginBottom: 44,
    marginLeft: 56,
    marginRight: 140,
    fx: { label: null, domain: sizes },
    x: {
      type: "log",
      base: 2,
      label: "width, resolution or batch of net (a)",
      labelAnchor: "center",
      labelArrow: "none",
      ticks: 4,
    },
    y: {
      domain: [0, Math.max(1.1, ...points.map(({ time }) => time))],
      grid: true,
      label: "time per arithmetic, the smallest's is 1",
    },
    color: { domain: names, range: names.map((name) => engines[name] ?? ink) },
    marks: [
      Plot.ruleY([1], { stroke: ink, strokeDasharray: "3 3" }),
      Plot.line(points, { fx: "size", x: "value", y: "time", stroke: "engine", strokeWidth: 2 }),
      Plot.dot(points, { fx: "size", x: "value", y: "time", fill: "engine", r: 4 }),
      Plot.text(last, {
        fx: "size",
        x: "value",
        y: "time",
        text: labelOf,
        fill: "engine",
        dx: 8,
        textAnchor: "start",
      }),
    ],
  }));
}

const isOfOneLine = (one: Point, other: Point): boolean => one.size === other.size && one.engine === other.engine;
