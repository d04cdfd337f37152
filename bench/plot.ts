import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { ratioTo, type Row } from "./row.ts";

/** The packages' own declarations need those of a page's DOM, which this program is compiled without. */
const parsePage: (markup: string) => { readonly document: unknown } = parseHTML;
type PlotOptions = Omit<Plot.PlotOptions, "document"> & { readonly document: unknown };
const draw: (options: PlotOptions) => unknown = Plot.plot;

type Point = { readonly row: string; readonly peer: string; readonly ratio: number };

/** Legible on white and on black. */
export const ink = "#7d8590";
export const colours: Readonly<Record<string, string>> = {
  PyTorch: "#e5672f",
  "PyTorch, channels last": "#f2b279",
  "PyTorch, compiled": "#a33b12",
  "jax-js wasm": "#2f9e6e",
  "tfjs wasm": "#3d86d8",
};

const rowHeight = 19;
const width = 880;
const labelWidth = 330;
const [legendStart, letterWidth, legendGap] = [-120, 6.8, 34];

/** Names of steps of examples begin with what they are; their sizes stand in the table. */
function labelOf({ group, name }: Row): string {
  return group === "examples" ? (name.split(",")[0] ?? name) : name;
}

/** How many times faster (or smaller) we are than each peer, row by row, on a logarithmic axis: an SVG document. */
export function ratioPlot(rows: readonly Row[], groups: readonly string[]): string {
  const shown = rows.filter(({ group }) => groups.includes(group));
  const points = shown.flatMap((row) =>
    Object.keys(colours).flatMap((peer): Point[] => {
      const ratio = ratioTo(row, peer);
      return ratio === undefined ? [] : [{ row: labelOf(row), peer, ratio }];
    }),
  );
  const names = shown.map(labelOf).filter((name) => points.some(({ row }) => row === name));
  const peers = Object.keys(colours).filter((name) => points.some(({ peer }) => peer === name));
  const ratios = points.map(({ ratio }) => ratio);
  const ends = names.map((row) => {
    const own = points.filter((point) => point.row === row).map(({ ratio }) => ratio);
    return { row, from: Math.min(1, ...own), to: Math.max(1, ...own) };
  });
  // One behind the other, from left of the rows' axis on: names are of all lengths.
  const legend = peers.map((peer, i) => ({
    peer,
    x: legendStart + peers.slice(0, i).reduce((sum, { length }) => sum + length * letterWidth + legendGap, 0),
  }));
  return drawn((document) => ({
    document,
    width,
    height: names.length * rowHeight + 90,
    marginLeft: labelWidth,
    marginRight: 30,
    marginTop: 44,
    marginBottom: 44,
    x: {
      type: "log",
      domain: [Math.min(0.5, ...ratios) * 0.9, Math.max(2, ...ratios) * 1.2],
      grid: true,
      ticks: 8,
      tickFormat: (value: number) => String(value),
      label: "times faster than the peer, or smaller in memory (peer / Evenkeel, medians of one run)",
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { domain: names, label: null, tickSize: 0 },
    color: { domain: peers, range: peers.map((peer) => colours[peer] ?? ink) },
    marks: [
      Plot.ruleX([1], { stroke: ink, strokeWidth: 1.5 }),
      Plot.link(ends, { x1: "from", x2: "to", y1: "row", y2: "row", stroke: ink, strokeOpacity: 0.45 }),
      Plot.dot(points, { x: "ratio", y: "row", fill: "peer", r: 5 }),
      ...legend.flatMap(({ peer, x }) => [
        Plot.dot([peer], { frameAnchor: "top-left", dx: x, dy: -24, r: 5, fill: colours[peer] ?? ink }),
        Plot.text([peer], { frameAnchor: "top-left", dx: x + 10, dy: -30, fill: ink }),
      ]),
    ],
  }));
}

/** A chart as an SVG document. */
export function drawn(optionsFor: (document: unknown) => PlotOptions): string {
  const { document } = parsePage("<!doctype html><body></body>");
  const chart = draw(optionsFor(document));
  const svg = (chart as { readonly outerHTML: string }).outerHTML;
  // linkedom's elements take no style while they are drawn.
  const opening = `<svg xmlns="http://www.w3.org/2000/svg" color="${ink}" `;
  return `${svg.replace("<svg ", opening).replace('font-size="10"', 'font-size="12"')}\n`;
}
