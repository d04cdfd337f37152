/** A training step on WebGPU: its time with and without readbacks, all of its kernels, and what lies between them. */
import type { GpujsContext } from "../../engine/devices/gpujs/adapter.ts";
import type { Tile } from "../../engine/devices/gpujs/wgsl/product/index.ts";
import { createWebgpuDevice } from "../../engine/devices/gpujs/webgpuDevice.ts";
import type { TuningTable } from "../../engine/devices/gpujs/webgpuOptions.ts";
import { type DispatchCounts, dispatchCounts } from "../../engine/kernel/dispatchCounts.ts";
import { median } from "../interleave.ts";
import { BoundPlan } from "../../engine/devices/gpujs/boundPlan.ts";
import { type KernelRow, kindTable, percent, rowTable, timeKernels, timeOfRows } from "./kernelTable.ts";
import { digits, longerBy, tableOf } from "../markdown.ts";
import type { Finding } from "./report.ts";
import type { Roofs } from "./roofs.ts";
import type { Subject } from "./subject.ts";
import { tileRows, tileTable } from "./tiles.ts";

export type StepOptions = {
  readonly context: GpujsContext;
  readonly roofs: Roofs;
  readonly steps: number;
  /** So many of the slowest products are also run by these tiles. */
  readonly products: number;
  readonly tiles: readonly Tile[];
  /** Whether the steps are timed with tiles that were found by timing, too. */
  readonly tunes: boolean;
};

type StepTimes = {
  /** Milliseconds from nothing to the end of the first step. */
  readonly first: number;
  /** Milliseconds of steps whose losses are read back. */
  readonly read: readonly number[];
  /** Milliseconds of a step where many are given to the GPU without waiting; the mean, several times. */
  readonly unread: readonly number[];
  readonly losses: readonly number[];
  /** What one step asked of WebGPU. */
  readonly asked: Readonly<Record<string, number>>;
  /** Tiles, if they were found by timing. */
  readonly tuning: TuningTable | null;
};

const since = (start: number): number => performance.now() - start;

async function timeSteps(subject: Subject, steps: number, autotune: boolean): Promise<StepTimes> {
  const device = await createWebgpuDevice({ autotune });
  try {
    const start = performance.now();
    const training = await subject.training(device);
    const losses = [...(await training.step())];
    const first = since(start);
    await training.step();
    const before = device.counts;
    const read: number[] = [];
    for (let i = 0; i < steps; i++) {
      const begin = performance.now();
      await training.step();
      read.push(since(begin));
    }
    const after = device.counts;
    const asked = Object.fromEntries(
      Object.entries(after).map(([what, count]) => [what, (count - before[what as keyof typeof before]) / steps]),
    );
    const unread: number[] = [];
    for (let i = 0; i < Math.min(3, steps); i++) {
      const begin = performance.now();
      await training.advance(steps);
      unread.push(since(begin) / steps);
    }
    training.dispose();
    return { first, read, unread, losses, asked, tuning: autotune ? device.tuning() : null };
  } finally {
    device.dispose();
  }
}

type PlanTimes = {
  readonly counts: DispatchCounts;
  readonly rows: readonly KernelRow[];
  /** Milliseconds of all dispatches in one pass, several times. */
  readonly passes: readonly number[];
  /** The products that take most time, by other tiles. */
  readonly tiles: Awaited<ReturnType<typeof tileRows>>;
};

async function timePlan(subject: Subject, { context, roofs, steps, products, tiles }: StepOptions): Promise<PlanTimes> {
  const device = await createWebgpuDevice();
  try {
    const plan = await subject.plan(device.limits);
    const bound = await BoundPlan.create(context, plan, device.schedules);
    try {
      await bound.timeAll();
      const passes: number[] = [];
      for (let i = 0; i < Math.min(5, steps); i++) passes.push(await bound.timeAll());
      const { rows, kernels } = await timeKernels(bound, roofs);
      const slowest = kernels.filter(({ schedule }) => schedule.includes("product")).slice(0, products);
      return { counts: dispatchCounts(plan), rows, passes, tiles: await tileRows(bound, slowest, tiles) };
    } finally {
      bound.dispose();
    }
  } finally {
    device.dispose();
  }
}

/** A step by tiles that were found by timing: its bits must be those of the tiles that a model chooses. */
function tunedRow({ losses }: StepTimes, tuned: StepTimes): readonly [string, string] {
  const same = losses.length === tuned.losses.length && losses.every((loss, i) => Object.is(loss, tuned.losses[i]));
  const { length } = Object.keys(tuned.tuning?.tiles ?? {});
  return [
    "a step, nothing read, tiles found by timing",
    `${digits(median(tuned.unread))} ms, ${length} products timed, ${same ? "the same losses" : "WRONG: OTHER LOSSES"}`,
  ];
}

/** Measures a training step. */
export async function measureStepOnGpu(
  subject: Subject,
  options: StepOptions,
): Promise<Finding & { readonly times: StepTimes }> {
  const times = await timeSteps(subject, options.steps, false);
  const tuned = options.tunes ? await timeSteps(subject, options.steps, true) : null;
  const { counts, rows, passes, tiles } = await timePlan(subject, options);
  const [read, unread, pass, kernels] = [median(times.read), median(times.unread), median(passes), timeOfRows(rows)];
  const { name, gflop } = subject;
  const least = rows.reduce((sum, { steps, milliseconds, share }) => sum + steps * milliseconds * share, 0);
  const gap = pass - kernels;
  const range = (values: readonly number[]): string => `${digits(Math.min(...values))}-${digits(Math.max(...values))}`;
  const summary = tableOf(
    [name, ""],
    [
      ["first step, with planning and pipelines", `${digits(times.first)} ms`],
      ["a step, losses read back each time", `${digits(read)} ms (${range(times.read)}, ${times.read.length})`],
      ["a step, nothing read", `${digits(unread)} ms (${range(times.unread)}, means of ${options.steps})`],
      ...(tuned === null ? [] : [tunedRow(times, tuned)]),
      ["all its kernels in one pass, by timestamps", `${digits(pass)} ms (${range(passes)}, ${passes.length})`],
      ["sum of its kernels, each alone", `${digits(kernels)} ms`],
      [
        "what lies between kernels: the pass less the sum",
        longerBy(gap, `, ${digits((1e3 * gap) / counts.dispatches)} us a dispatch`),
      ],
      ["what the host adds: a step, nothing read, less the pass", longerBy(unread - pass)],
      ["least time of its kernels by the roofs", `${digits(least)} ms, ${percent(least / kernels)} of their sum`],
      ["arithmetic of layers and attention", `${digits(gflop)} GFLOP, ${digits((1e3 * gflop) / unread)} GFLOP/s`],
      ["dispatches, different kernels", `${counts.dispatches}, ${counts.kernels}`],
      ["levels, barriers as Dawn on Vulkan", `${counts.levels}, ${counts.barriersAgain}`],
      ["bytes bound", `${digits(counts.bytes / 1e6)} MB`],
      [
        "a step asked of WebGPU",
        Object.entries(times.asked)
          .map(([what, count]) => `${what} ${count}`)
          .join(", "),
      ],
      [
        "losses of the first step",
        times.losses
          .slice(0, 4)
          .map((loss) => loss.toPrecision(6))
          .join(" "),
      ],
    ],
  );
  const data = {
    name,
    times,
    tuned,
    passes,
    kernels,
    gap,
    least,
    gflop,
    counts,
    rows,
    tiles,
  };
  return {
    data,
    text: [summary, kindTable(rows), tileTable(tiles.rows), ...tiles.failures, rowTable(rows)].join("\n\n"),
    times,
  };
}
