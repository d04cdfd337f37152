import { torchName } from "./peers/torch.ts";
import { ratioTo, type Row } from "./row.ts";

/** Something to be reached. */
export type Target = {
  readonly what: string;
  readonly must: number;
  readonly aim: number;
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

const convolutions = [
  ["16x64x32x32", 1.15, 1.3],
  ["16x128x16x16", 1.1, 1.2],
  ["16x256x8x8", 1, 1.1],
  ["16x64x28x28", 0.9, 1.1],
  ["16x128x14x14", 0.9, 1.1],
  ["16x256x7x7", 0.9, 1.1],
] as const;

export const targets: readonly Target[] = [
  ...[512, 1024].map((size) => ({
    what: `matmul ${size} against the better of tfjs-wasm and jax-js`,
    must: 2.5,
    aim: 3.5,
    measured: againstBest(`matmul ${size}`, javascript),
  })),
  { what: "matmul 512 against PyTorch", must: 0.6, aim: 1, measured: against("matmul 512", torchName) },
  ...convolutions.map(([size, must, aim]) => ({
    what: `conv 3x3 ${size} with gradients against PyTorch`,
    must,
    aim,
    measured: against(`conv 3x3 ${size} with gradients`, torchName),
  })),
  { what: "4-layer conv net against jax-js", must: 100, aim: 300, measured: against(convNetName, "jax-js wasm") },
  { what: "training step (a) against PyTorch", must: 1, aim: 1.5, measured: against("training step (a)", torchName) },
  { what: "training step (b) against PyTorch", must: 0.8, aim: 1.2, measured: against("training step (b)", torchName) },
  ...["a", "b"].map((name) => ({
    what: `peak memory of (${name}), PyTorch's / ours`,
    must: 1,
    aim: 2,
    measured: against(`peak memory of 10 steps (${name})`, torchName),
  })),
  { what: "10-op chain of arithmetic, share of memory bandwidth", must: 0.7, aim: 0.9, measured: shareOf(chainName) },
  {
    what: "10-op chain with tanh and exp, share of memory bandwidth",
    must: 0.7,
    aim: 0.9,
    measured: shareOf(`${chainName}, with tanh and exp`),
  },
  {
    what: "two threads against one, step (b)",
    must: 1.7,
    aim: 1.9,
    measured: against(threadsName, oneThread),
  },
];
