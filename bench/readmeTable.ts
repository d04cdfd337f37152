/** The README's table of speed, made of RESULTS.md, so that neither says what the other doesn't. */

/** One line of a table of RESULTS.md. */
type Line = { readonly work: string; readonly engine: string; readonly median: string; readonly ratio: number };

const ours = "evenkeel wasm";

/** Rows that are shown whatever they say; those in which PyTorch is faster (or smaller) are shown, too. */
const shown = [
  "training step (a)",
  "training step (b)",
  "32-step sampling of 16 images, net (a)",
  "peak memory of 10 steps (a)",
  "peak memory of 10 steps (b)",
  "attention 256 tokens, 16x4 with gradients",
  "conv 3x3 16x64x32x32 with gradients",
  "conv 3x3 16x128x16x16",
  "4-layer conv net 8x64x16x16, value and gradient",
  "matmul 512",
  "conv 1x1 16x128x16x16 with gradients",
  "10-op chain 16777216",
];

/** Column by column: the engine's name in RESULTS.md, and whether a row in which it wins must be shown. */
const peers: readonly { readonly engine: string; readonly mustShow: boolean }[] = [
  { engine: "PyTorch", mustShow: true },
  { engine: "PyTorch, channels last", mustShow: true },
  { engine: "PyTorch, compiled", mustShow: true },
  { engine: "jax-js wasm", mustShow: false },
  { engine: "tfjs wasm", mustShow: false },
];

const begin = "<!-- bench: made by npm run bench -- --write -->";
const end = "<!-- bench ends -->";

function linesOf(results: string): Line[] {
  // Rows of growth and of our other devices have tables of their own; they are no claims.
  const [compared = ""] = results.split(/\n## (?:Compiling|Growth|Failed|Every device)/);
  return [...compared.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([\d.]+ \w+) \([^|]*\) \|[^|]*\| ([\d.]+) \|/gm)].map(
    ([, work = "", engine = "", median = "", ratio = ""]) => ({ work, engine, median, ratio: Number(ratio) }),
  );
}

function ratioText(ratio: number | undefined): string {
  return ratio === undefined ? "" : ratio.toFixed(ratio < 10 ? 2 : 0);
}

/** The table and the sentence above it. @param results the text of RESULTS.md */
export function readmeTable(results: string): string {
  const lines = linesOf(results);
  const machine = /^`npm run bench[^`]*` on [\d-]+\. ([^,\n]+),/m.exec(results)?.[1] ?? "an unknown processor";
  const version = /^- PyTorch: (PyTorch [\d.]+)/m.exec(results)?.[1] ?? "PyTorch";
  const find = (work: string, engine: string): Line | undefined =>
    lines.find((line) => line.work === work && line.engine === engine);
  const works = [...new Set(lines.map(({ work }) => work))];
  const lost = works.filter((work) =>
    peers.some(({ engine, mustShow }) => mustShow && (find(work, engine)?.ratio ?? 1) < 1),
  );
  const rows = [...shown.filter((work) => works.includes(work)), ...lost.filter((work) => !shown.includes(work))];
  const columns = peers.filter(({ engine }) => rows.some((work) => find(work, engine) !== undefined));
  const heading = (engine: string): string => engine.replace("PyTorch", version);
  return [
    `Speed on ${machine}, two cores, two threads each (TensorFlow.js has one in Node), as ratios of median times in one run: above 1 we`,
    "are faster, or smaller. Every row in which PyTorch wins is here. Net (a) is `emoji16`'s, batch 32; net (b) is for 32x32, has 7.1 million",
    "parameters, batch 16.",
    "",
    `| work | Evenkeel \`wasm\` | ${columns.map(({ engine }) => heading(engine)).join(" | ")} |`,
    `|---|---|${columns.map(() => "---|").join("")}`,
    ...rows.map((work) => {
      const cells = columns.map(({ engine }) => ratioText(find(work, engine)?.ratio));
      return `| ${work} | ${find(work, ours)?.median ?? ""} | ${cells.join(" | ")} |`;
    }),
  ].join("\n");
}

/** The README with its table made anew. @throws Error if it has no place for one */
export function withReadmeTable(readme: string, results: string): string {
  const [before, rest] = readme.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`README.md has no ${begin} ... ${end}`);
  return `${before}${begin}\n${readmeTable(results)}\n${end}${after}`;
}
