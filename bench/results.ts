import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { growthPlot } from "./growthPlot.ts";
import { ratioPlot } from "./plot.ts";
import { withReadmeTable } from "./readmeTable.ts";
import type { Row } from "./row.ts";
import { measurementTable, targetTable } from "./table.ts";
import { targets } from "./targets.ts";

/** A run of the bench. */
export type Results = {
  readonly date: string;
  readonly command: string;
  readonly machine: string;
  readonly engines: readonly string[];
  readonly rows: readonly Row[];
  /** What was counted. */
  readonly tallies: readonly { readonly title: string; readonly text: string }[];
};

const groupTitles: Readonly<Record<string, string>> = {
  kernels: "Kernels",
  memory: "Memory-bound work",
  network: "Networks",
  examples: "Steps of the examples",
  turns: "Turns of the event loop, and none",
  peak: "Peak memory",
  compile: "Compiling a training step",
  growth: "Growth: time per arithmetic as net (a) grows",
  failed: "Failed",
  devices: "Every device of ours, small sizes",
};

/** The groups whose ratios are plotted. */
const plotted = ["kernels", "memory", "network", "examples", "peak"];

/** The run as text: targets first, then every row. */
export function describeResults({ rows, tallies }: Pick<Results, "rows" | "tallies">): string {
  const groups = Object.entries(groupTitles).flatMap(([group, title]) => {
    const own = rows.filter((row) => row.group === group);
    return own.length === 0 ? [] : [`## ${title}\n\n${measurementTable(own)}`];
  });
  const counted = tallies.map(({ title, text }) => `## ${title}\n\n${text}`);
  return [`## Targets\n\n${targetTable(targets, rows)}`, ...groups, ...counted].join("\n\n");
}

/** Writes `bench/RESULTS.md`, `docs/bench.svg`, `docs/growth.svg` and the table of `README.md`. */
export function writeResults(results: Results): void {
  const { date, command, machine, engines } = results;
  const text = `# Results

\`${command}\` on ${date.slice(0, 10)}. ${machine}.

${engines.map((engine) => `- ${engine}`).join("\n")}

Ratios are theirs / ours by medians of one run: above 1 we are faster, or smaller. Contenders take turns, a sample each, seven
rounds or more (three for what takes more than three seconds); a sample is the mean of as many runs as fit into a tenth of a second.
Before anything is measured, results are compared. Nobody's results are copied to the host, save where the row says so by its nature
(images that were sampled, a step's report). A training step is forced normalization, noise, forward, backward, clean-up of the
gradients, Adam and two averages; net (a) is 16x16x3 with 32 base channels and a batch of 32, net (b) 32x32x3 with 64 and a batch
of 16. PyTorch runs networks written for this bench under \`bench/peers/torch\`.

Bandwidth is that of copying with as many threads, each its own part, by \`TypedArray.set\` between arrays of 128 MiB in all, bytes read and
written both counted. Peak memory is VmHWM of a new process after ten steps. Compile times are first steps less a later step.
What bounds each row, and why targets were missed: [FLOORS.md](FLOORS.md).

${describeResults(results)}

![Ratios as a plot](../docs/bench.svg)

![Time per arithmetic as a network grows](../docs/growth.svg)
`;
  const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  writeFileSync(here("RESULTS.md"), text);
  writeFileSync(here("../README.md"), withReadmeTable(readFileSync(here("../README.md"), "utf8"), text));
  writeFileSync(here("../docs/bench.svg"), ratioPlot(results.rows, plotted));
  writeFileSync(here("../docs/growth.svg"), growthPlot(results.rows));
}
