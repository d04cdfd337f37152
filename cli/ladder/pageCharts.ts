import * as Plot from "@observablehq/plot";
import { draw, horizontalLines, huesOf, nothing, spreadLabels, verticalAxis } from "../train/reportCharts.ts";

/** A named curve over any quantity; `weight` is that of its line. */
export type NamedCurve = {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly value: number }[];
  readonly isFaint?: boolean;
};

/** Several curves, each named at its end, over a quantity with this label. SVG markup. */
export function curvesChart(
  curves: readonly NamedCurve[],
  labels: { readonly x: string; readonly y: string; readonly log?: boolean },
): string {
  const data = curves.flatMap(({ name, points, isFaint = false }) =>
    points.filter(({ value }) => Number.isFinite(value)).map((point) => ({ ...point, name, isFaint })),
  );
  if (data.length === 0) return nothing;
  const axis = { label: labels.y, ...(labels.log === true ? { type: "log" as const } : {}) };
  const ends = curves.flatMap(({ name }) => data.filter((point) => point.name === name).slice(-1));
  const lines = (isFaint: boolean): Plot.Markish =>
    Plot.line(
      data.filter((point) => point.isFaint === isFaint),
      {
        x: "x",
        y: "value",
        stroke: "name",
        strokeWidth: isFaint ? 1 : 2,
        strokeOpacity: isFaint ? 0.6 : 1,
        strokeLinejoin: "round",
      },
    );
  return draw({
    ariaLabel: labels.y,
    x: { label: labels.x, labelArrow: "none", tickSize: 4, nice: false },
    y: verticalAxis(axis, data),
    marginRight: 96,
    color: { type: "ordinal", domain: curves.map(({ name }) => name), range: huesOf(curves.length) },
    marks: [
      ...horizontalLines(axis, data),
      lines(true),
      lines(false),
      Plot.dot(data, {
        x: "x",
        y: "value",
        r: 2.5,
        fill: "name",
        fillOpacity: (point: { readonly isFaint: boolean }) => (point.isFaint ? 0.5 : 1),
        title: ({ name, x, value }: { name: string; x: number; value: number }) =>
          `${name}, ${x}: ${value.toPrecision(4)}`,
      }),
      Plot.text(
        ends,
        spreadLabels({ x: "x", y: "value", text: "name", textAnchor: "start", dx: 7, fontSize: 10, fill: "name" }),
      ),
    ],
  });
}

/** One value a rung and seed as dots, their means as bars across. SVG markup. */
export function rungsChart(
  values: readonly { readonly rung: string; readonly seed: number; readonly value: number }[],
  label: string,
  floor: number | null = null,
): string {
  if (values.length === 0) return nothing;
  const rungs = [...new Set(values.map(({ rung }) => rung))];
  const means = rungs.map((rung) => {
    const own = values.filter((each) => each.rung === rung);
    return { rung, value: own.reduce((sum, { value }) => sum + value, 0) / own.length };
  });
  const all = floor === null ? values : [...values, { value: floor }];
  return draw({
    ariaLabel: label,
    x: { type: "point", domain: rungs, label: null, padding: 0.6 },
    y: verticalAxis({ label }, all),
    marks: [
      ...horizontalLines({ label }, all),
      ...(floor === null ? [] : [Plot.ruleY([floor], { stroke: "currentColor", strokeDasharray: "3 3" })]),
      Plot.tickY(means, {
        x: "rung",
        y: "value",
        stroke: "var(--accent)",
        strokeWidth: 2,
        insetLeft: 12,
        insetRight: 12,
      }),
      Plot.dot(values, {
        x: "rung",
        y: "value",
        r: 3.5,
        fill: "var(--accent)",
        fillOpacity: 0.6,
        title: ({ rung, seed, value }: { rung: string; seed: number; value: number }) =>
          `${rung}, seed ${seed}: ${value.toPrecision(4)}`,
      }),
    ],
  });
}
