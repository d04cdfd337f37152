import { growthOf, mostGrowth } from "./growthPlot.ts";
import { torchName } from "./peers/torch.ts";
import { ratioTo, type Row } from "./row.ts";

/** Something to be reached. */
export type Target = {
  readonly what: string;
  readonly must: number;
  readonly aim: number;
  /** Whether less is better. */
  readonly isLimit?: boolean;
  /** From the rows of a run; undefined if they don't tell. */
  readonly measured: (rows: readonly Row[]) => number | undefined;
};

function inRow(name: string, value: (row: Row) => number | undefined): Target["measured"] {
  return (rows) => {
    const row = rows.find((one) => one.name === name);
    return row === undefined ? undefined : value(row);
  };
}

const against = (name: string, contender: string): Target["measured"] => inRow(name, (row) => ratioTo(row, contender));

/** Against the fastest of those who are there. */
const againstBest = (name: string, contenders: readonly string[]): Target["measured"] =>
  inRow(name, (row) => {
    const ratios = contenders.flatMap((contender) => ratioTo(row, contender) ?? []);
    return ratios.length === 0 ? undefined : Math.min(...ratios);
  });

const shareOf = (name: string): Target["measured"] => inRow(name, (row) => row.share?.value);

const javascript = ["tfjs wasm", "jax-js wasm"];

export const convNetName = "4-layer conv net 8x64x16x16, value and gradient";
export const chainName = "10-op chain 16777216";
export const threadsName = "training step (b), threads";
export const oneThread = "evenkeel wasm, 1 thread";

/** The lowest ratio to a JavaScript engine of all rows that one of them can do. */
const worstAgainstJavascript: Target["measured"] = (rows) => {
  const ratios = rows.flatMap((row) => javascript.flatMap((contender) => ratioTo(row, contender) ?? []));
  return ratios.length === 0 ? undefined : Math.min(...ratios);
};

const secondsOf = (name: string): Target["measured"] => inRow(name, ({ measurements }) => measurements[0]?.median);

/** Rows that PyTorch's ratio is wanted of: their names, what must be, what would be good. */
const againstTorch: readonly (readonly [name: string, must: number, aim: number])[] = [
  ["training step (a)", 1.5, 1.7],
  ["training step (b)", 1.25, 1.6],
  ["training step (EDM2-XS)", 1, 1.3],
  ["32-step sampling of 16 images, net (a)", 1.8, 2.2],
  ["conv 3x3 16x64x32x32 with gradients", 1.15, 1.3],
  ["conv 3x3 16x128x16x16 with gradients", 1.1, 1.2],
  ["conv 3x3 16x256x8x8 with gradients", 1, 1.1],
  ["conv 3x3 16x64x28x28 with gradients", 0.9, 1.1],
  ["conv 3x3 16x128x14x14 with gradients", 0.9, 1.1],
  ["conv 3x3 16x256x7x7 with gradients", 0.9, 1.1],
  ["conv 1x1 16x128x16x16 with gradients", 0.5, 0.5],
  ["matmul 256", 0.4, 0.4],
  ["matmul 512", 0.4, 0.4],
  ["matmul 1024", 0.35, 0.35],
  ["row sums 4096x4096", 1, 1.3],
  ["column sums 4096x4096", 1, 1.3],
  ["softmax 4096x1024 with gradients", 1, 1.3],
  ["norm of rows 4096x1024 with gradients", 1, 1.3],
  ["attention 64 tokens, 16x4 with gradients", 1.2, 1.6],
  ["attention 256 tokens, 16x4 with gradients", 1.3, 1.8],
  ["GPT step, 825,437 parameters, 16 x 64 letters, AdamW", 0.65, 0.8],
  ["classifier step, 64 images of 28x28, Adam", 0.9, 1.2],
  ["MLP step, 2-64-64-3, 600 points, Adam", 0.7, 1.2],
  ["peak memory of 10 steps (a)", 1.9, 2.2],
  ["peak memory of 10 steps (b)", 1.6, 2],
];

export const targets: readonly Target[] = [
  ...againstTorch.map(([name, must, aim]) => ({
    what: `${name} against PyTorch`,
    must,
    aim,
    measured: against(name, torchName),
  })),
  { what: "any row against any JavaScript engine", must: 1, aim: 1, measured: worstAgainstJavascript },
  ...[512, 1024].map((size) => ({
    what: `matmul ${size} against the better of tfjs-wasm and jax-js`,
    must: 2.5,
    aim: 3.5,
    measured: againstBest(`matmul ${size}`, javascript),
  })),
  { what: "4-layer conv net against jax-js", must: 100, aim: 300, measured: against(convNetName, "jax-js wasm") },
  { what: "10-op chain of arithmetic, share of memory bandwidth", must: 0.7, aim: 0.9, measured: shareOf(chainName) },
  {
    what: "10-op chain with tanh and exp, share of memory bandwidth",
    must: 0.7,
    aim: 0.9,
    measured: shareOf(`${chainName}, with tanh and exp`),
  },
  { what: "two threads against one, step (b)", must: 1.9, aim: 1.95, measured: against(threadsName, oneThread) },
  ...(
    [
      ["a", 1, 0.6],
      ["b", 2.5, 1.5],
      ["emoji32", 1.5, 1],
    ] as const
  ).map(([name, must, aim]) => ({
    what: `compile step (${name}) in a new process, seconds`,
    must,
    aim,
    isLimit: true,
    measured: secondsOf(`compile step (${name}), new process`),
  })),
  ...["width", "resolution", "batch"].map((size) => ({
    what: `most that time per arithmetic rises with the ${size} of net (a)`,
    must: mostGrowth,
    aim: mostGrowth,
    isLimit: true,
    measured: (rows: readonly Row[]) => growthOf(rows, size),
  })),
];
