import { createDevice, type Device } from "../engine/index.ts";
import type { Contender } from "./contender.ts";
import { copyLane } from "./copy.ts";
import { deviceWorks, measureWithBenny } from "./devices.ts";
import { interleave, type InterleaveOptions } from "./interleave.ts";
import type { TorchProcess } from "./peers/torch.ts";
import { measureWork, ratioTo, type Row } from "./row.ts";
import { oneThread, threadsName } from "./targets.ts";
import { nameOf, type Work } from "./work.ts";
import { exampleSteps, measureExampleStep } from "./works/exampleSteps.ts";
import { describeGpuWork } from "./works/gpu.ts";
import { grownNet, type Net, netA, netB, netXs, quantityOfStep } from "./works/networks.ts";
import { measureCompile, measureMemory } from "./works/processes.ts";
import { measureRecomputing } from "./works/recomputing.ts";
import { measureSampling } from "./works/sampling.ts";
import { measureStep, ownTraining, requireSameSteps } from "./works/training.ts";
import { measureTurns } from "./works/turns.ts";

export type Context = {
  readonly threads: number;
  readonly device: Device;
  readonly torch: TorchProcess | { readonly missing: string };
  /** Ours, PyTorch and the JavaScript engines that run at native speed, as far as they are here. */
  readonly engines: readonly Contender[];
  /** Those of `engines` that should be here and aren't. */
  readonly absent: Row["absent"];
  /** Our other devices, and JavaScript engines without native speed. Made when they are asked for. */
  readonly devices: () => Promise<{ readonly contenders: readonly Contender[]; readonly absent: Row["absent"] }>;
  /** Fewer samples, to see that everything runs. */
  readonly quick: boolean;
};

/** One or several rows that are measured together. */
export type Job = { readonly name: string; readonly run: (context: Context) => Promise<readonly Row[]> };

const samples = ({ quick }: Context): InterleaveOptions => (quick ? { repeats: 3, sampleSeconds: 0.02 } : {});

const gradients = [false, true] as const;

const kernels: readonly Work[] = [
  ...[256, 512, 1024].map((size): Work => ({ kind: "matmul", size })),
  ...[64, 256].flatMap((tokens) =>
    gradients.map((gradients): Work => ({ kind: "attention", batch: 16, heads: 4, tokens, gradients })),
  ),
  ...(
    [
      [32, 64],
      [16, 128],
      [8, 256],
    ] as const
  ).flatMap(([resolution, channels]) =>
    gradients.map((gradients): Work => ({ kind: "conv", batch: 16, channels, resolution, kernel: 3, gradients })),
  ),
  // Sizes of images that tiles of 4x4 don't divide, and one tile an image.
  ...(
    [
      [28, 64],
      [14, 128],
      [7, 256],
      [4, 256],
    ] as const
  ).map(
    ([resolution, channels]): Work => ({ kind: "conv", batch: 16, channels, resolution, kernel: 3, gradients: true }),
  ),
  ...gradients.map(
    (gradients): Work => ({ kind: "conv", batch: 16, channels: 128, resolution: 16, kernel: 1, gradients }),
  ),
  { kind: "convNet", batch: 8, channels: 64, resolution: 16 },
];

/** Far larger than the caches of the processor. */
const memoryBound: readonly Work[] = [
  { kind: "chain", length: 2 ** 24, functions: "arithmetic" },
  { kind: "chain", length: 2 ** 24, functions: "smooth" },
  { kind: "reduce", rows: 4096, columns: 4096, axis: 1 },
  { kind: "reduce", rows: 4096, columns: 4096, axis: 0 },
  { kind: "softmax", rows: 4096, columns: 1024, gradients: true },
  { kind: "norm", rows: 4096, columns: 1024, gradients: true },
  { kind: "embedding", rows: 50_000, channels: 64, taken: 4096 },
];

async function runMemoryBound(work: Work, context: Context): Promise<readonly Row[]> {
  const copy = await copyLane(2 ** 24, context.threads);
  const row = await measureWork("memory", work, context.engines, { ...samples(context), copy });
  await copy.dispose();
  return [withAbsent(row, context)];
}

const withAbsent = (row: Row, { absent }: Context): Row => ({ ...row, absent: [...row.absent, ...absent] });

async function runStep(net: Net, context: Context): Promise<readonly Row[]> {
  if (!("missing" in context.torch)) await requireSameSteps(net, context.device, context.torch);
  return [await measureStep("network", `training step (${net.name})`, net, context, samples(context))];
}

/** Five arrays of weights and one of gradients fill most of what a WebAssembly memory may have: it has a device to itself. */
async function runLargeStep(context: Context): Promise<readonly Row[]> {
  const device = await createDevice("wasm", { wasm: { threads: context.threads, relaxed: true } });
  const row = await measureStep(
    "network",
    `training step (${netXs.name})`,
    netXs,
    { ...context, device },
    samples(context),
  );
  device.dispose();
  return [
    { ...row, note: `two images a step; what is computed was compared on nets (${netA.name}) and (${netB.name})` },
  ];
}

async function runThreads(context: Context): Promise<readonly Row[]> {
  const single = await createDevice("wasm", { wasm: { threads: 1, relaxed: true } });
  const [two, one] = [
    await ownTraining(netB, context.device, "evenkeel wasm"),
    await ownTraining(netB, single, oneThread),
  ];
  const measurements = await interleave([two.lane, one.lane], samples(context));
  two.dispose();
  one.dispose();
  single.dispose();
  const quantity = quantityOfStep(netB);
  return [{ group: "network", name: threadsName, measure: "seconds", quantity, measurements, absent: [] }];
}

const sizes = { width: [16, 32, 64, 128], resolution: [8, 16, 32, 64], batch: [4, 8, 16, 32, 64, 128] } as const;

/** Steps of net (a) as one of its sizes grows; each row says how its time per arithmetic compares with the smallest's. */
async function runGrowth(size: keyof typeof sizes, context: Context): Promise<readonly Row[]> {
  const rows: Row[] = [];
  let first: number | undefined;
  for (const value of context.quick ? sizes[size].slice(0, 2) : sizes[size]) {
    const net = grownNet(size, value);
    const name = `training step (a), ${size} ${value}`;
    const row = await measureStep("growth", name, net, context, { ...samples(context), repeats: 3 });
    const perArithmetic = (row.measurements[0]?.median ?? NaN) / (row.quantity?.amount ?? NaN);
    first ??= perArithmetic;
    rows.push({ ...row, note: `time per arithmetic ${(perArithmetic / first).toFixed(2)} of the smallest's` });
  }
  return rows;
}

async function runDevices(work: Work, context: Context): Promise<readonly Row[]> {
  const { contenders, absent } = await context.devices();
  const row = await measureWithBenny("devices", work, contenders);
  return [{ ...row, absent: [...row.absent, ...absent] }];
}

/** Everything that is measured, in order. */
export const jobs: readonly Job[] = [
  ...kernels.map(
    (work): Job => ({
      name: nameOf(work),
      run: async (context) => [
        withAbsent(await measureWork("kernels", work, context.engines, samples(context)), context),
      ],
    }),
  ),
  ...memoryBound.map((work): Job => ({ name: nameOf(work), run: (context) => runMemoryBound(work, context) })),
  ...[netA, netB].map((net): Job => ({ name: `training step (${net.name})`, run: (context) => runStep(net, context) })),
  { name: `training step (${netXs.name})`, run: runLargeStep },
  ...exampleSteps.map(
    (example): Job => ({
      name: example.name,
      run: async (context) => [await measureExampleStep(example, context, samples(context))],
    }),
  ),
  {
    name: "sampling",
    run: async (context) => [await measureSampling("network", netA, context, samples(context))],
  },
  { name: threadsName, run: runThreads },
  {
    name: "training step (b), recomputing",
    run: async (context) => [
      await measureRecomputing("training step (b), recomputing", netB, context.device, samples(context)),
    ],
  },
  ...[1, 2].map(
    (threads): Job => ({
      name: `event loop, ${threads === 1 ? "1 thread" : `${threads} threads`}`,
      run: async ({ quick }) => [await measureTurns("turns", netA, threads, quick)],
    }),
  ),
  ...["a", "b"].map(
    (name): Job => ({
      name: `peak memory (${name})`,
      run: async ({ quick }) => [await measureMemory("peak", name, quick ? 1 : 3, quick ? 2 : 10)],
    }),
  ),
  ...["a", "b", "emoji32"].map(
    (name): Job => ({ name: `compile (${name})`, run: ({ quick }) => measureCompile("compile", name, quick ? 1 : 3) }),
  ),
  ...(["width", "resolution", "batch"] as const).map(
    (size): Job => ({ name: `growth ${size}`, run: (context) => runGrowth(size, context) }),
  ),
  ...deviceWorks.map(
    (work): Job => ({ name: `devices: ${nameOf(work)}`, run: (context) => runDevices(work, context) }),
  ),
];

/** What is counted, not measured: text that is the same on every machine, or nearly. */
export type Tally = { readonly name: string; readonly title: string; readonly describe: () => Promise<string> };

export const tallies: readonly Tally[] = [
  { name: "gpu", title: "What a training step asks of a GPU", describe: describeGpuWork },
];

/** A row in one line, as it comes. */
export function summaryOf(row: Row): string {
  const [ours] = row.measurements;
  const peers = row.measurements.slice(1).map(({ contender }) => {
    return contender === row.share?.of ? "" : `${contender} x${(ratioTo(row, contender) ?? NaN).toFixed(2)}`;
  });
  const value =
    row.measure === "bytes"
      ? `${((ours?.median ?? NaN) / 2 ** 20).toFixed(0)} MiB`
      : `${((ours?.median ?? NaN) * 1e3).toFixed(2)} ms`;
  const share = row.share === undefined ? "" : `${row.share.value.toFixed(2)} of a ${row.share.of}`;
  return [`${row.name}: ${value}`, ...peers, share, row.note ?? ""].filter((part) => part !== "").join(", ");
}
