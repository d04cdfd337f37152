/**
 * The table and the picture of docs/muon.md, from the folders of its comparisons: `node --import tsx bench/muonStudy.ts FOLDER`, where
 * FOLDER/A to FOLDER/G are folders of `npx evenkeel compare`.
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { ComparisonResults } from "../cli/compare/results.ts";
import { configurationNames } from "../nn/index.ts";

const parsePage: (markup: string) => { readonly document: unknown } = parseHTML;
const draw: (options: Omit<Plot.PlotOptions, "document"> & { readonly document: unknown }) => unknown = Plot.plot;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("muonStudy: give the folder of the comparisons");

const rows = [];
for (const name of configurationNames) {
  const text = await readFile(`${folder}/${name}/results.json`, "utf8").catch(() => null);
  if (text === null) continue;
  const { changes, sweeps } = JSON.parse(text) as ComparisonResults;
  const [change] = changes;
  const [adam, muon] = sweeps;
  if (change === undefined || adam === undefined || muon === undefined) continue;
  rows.push({ name, ...change, adam: adam.best, muon: muon.best, tried: adam.tried.length + muon.tried.length });
}

const percent = (ratio: number): string => `${ratio < 1 ? "-" : "+"}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`;
console.log(
  "| configuration | best rate of Adam, of Muon | Muon's error beside Adam's | interval | pairs | verdict | paired / unpaired variance |",
);
console.log("|---|---|---|---|---|---|---|");
for (const { name, adam, muon, ratio, low, high, seeds, verdict, pairedDeviation, unpairedDeviation } of rows) {
  const share = ((pairedDeviation / unpairedDeviation) ** 2).toFixed(2);
  console.log(
    `| ${name} | ${adam}, ${muon} | ${percent(ratio)} | ${percent(low)} to ${percent(high)} | ${seeds.length} | ${verdict} | ${share} |`,
  );
}

/** Legible on white and on black. */
const ink = "#7d8590";
const colours = { plain: "#e5672f", forced: "#2f9e6e" } as const;
const legend = [
  { text: "weights as the optimizer leaves them (A to D)", colour: colours.plain, dx: 0 },
  { text: "weights on spheres (E to G)", colour: colours.forced, dx: 330 },
];
const points = rows.map(({ name, ratio, low, high }) => ({
  name,
  colour: name < "E" ? colours.plain : colours.forced,
  value: 100 * (ratio - 1),
  low: 100 * (low - 1),
  high: 100 * (high - 1),
}));
const { document } = parsePage("<!doctype html><body></body>");
const chart = draw({
  document,
  width: 760,
  height: 46 * points.length + 96,
  marginLeft: 60,
  marginRight: 30,
  marginTop: 40,
  marginBottom: 44,
  x: {
    grid: true,
    label: "error of Muon beside Adam's, each at its best rate, in percent; left is better",
    labelAnchor: "center",
    labelArrow: "none",
  },
  y: { domain: points.map(({ name }) => name), label: null, tickSize: 0 },
  marks: [
    Plot.ruleX([0], { stroke: ink, strokeWidth: 1.5 }),
    Plot.link(points, {
      x1: "low",
      x2: "high",
      y1: "name",
      y2: "name",
      stroke: "colour",
      strokeWidth: 3,
      strokeOpacity: 0.55,
    }),
    Plot.dot(points, { x: "value", y: "name", fill: "colour", r: 5 }),
    Plot.text(points, {
      x: "value",
      y: "name",
      text: ({ value }: { readonly value: number }) => value.toFixed(1),
      dy: -13,
      fill: ink,
      fontSize: 12,
    }),
    ...legend.map(({ text, colour, dx }) =>
      Plot.text([text], { frameAnchor: "top-left", fill: colour, dy: -28, textAnchor: "start", fontSize: 13, dx }),
    ),
  ],
}) as { readonly outerHTML: string };
// linkedom's elements take no style while they are drawn.
const svg = chart.outerHTML.replace("<svg ", `<svg xmlns="http://www.w3.org/2000/svg" color="${ink}" `);
const path = fileURLToPath(new URL("../docs/muon.svg", import.meta.url));
await writeFile(path, `${svg}\n`);
console.log(`${path}: ${points.length} configurations`);
