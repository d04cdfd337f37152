/**
 * Which of several devices is faster for a piece of work: estimated from rates that a few layers of a small network's training give, products
 * and element-wise steps that follow each other, or measured by the work itself.
 */
import { at } from "../graph/shape.ts";
import type { Kernel, Scalar } from "../kernel/kernel.ts";
import type { Plan, PlanStep } from "../kernel/plan.ts";
import type { Rates } from "../kernel/planCost.ts";
import type { DeviceLimits, DeviceName, KernelDevice } from "./device.ts";

/** Pixels of a batch: 32 images of 16 by 16. */
const rows = 8192;
/** Channels times taps of a 3x3 convolution, and channels. */
const depth = 288;
const columns = 32;
/** Layers, each a product and what is done with its elements. */
const layers = 6;

const load = (operand: number, coefficients: readonly number[]): Scalar => ({
  kind: "load",
  dtype: "f32",
  operand,
  at: { offset: 0, coefficients },
});
const multiply = (x: Scalar, y: Scalar): Scalar => ({ kind: "binary", dtype: "f32", op: "multiply", x, y });

/** y = x w, of which columns of x are repeated until they are as many as the depth. */
const product: Kernel = {
  name: "product",
  axes: [
    { role: "parallel", size: rows },
    { role: "parallel", size: columns },
    { role: "reduce", size: depth / columns },
    { role: "reduce", size: columns },
  ],
  operands: [
    { dtype: "f32", length: rows * columns },
    { dtype: "f32", length: depth * columns },
  ],
  reduction: { op: "sum", body: multiply(load(0, [columns, 0, 0, 1]), load(1, [0, 1, columns * columns, columns])) },
  stores: [
    {
      value: { kind: "accumulator", dtype: "f32" },
      dtype: "f32",
      length: rows * columns,
      at: { offset: 0, coefficients: [columns, 1, 0, 0] },
    },
  ],
  flops: 2 * rows * columns * depth,
  bytes: 4 * (2 * rows * columns + depth * columns),
};

/** silu of so many elements. */
function silu(name: string, length: number): Kernel {
  return {
    name,
    axes: [{ role: "parallel", size: length }],
    operands: [{ dtype: "f32", length }],
    reduction: null,
    stores: [
      {
        value: multiply(load(0, [1]), { kind: "unary", dtype: "f32", op: "sigmoid", x: load(0, [1]) }),
        dtype: "f32",
        length,
        at: { offset: 0, coefficients: [1] },
      },
    ],
    flops: 12 * length,
    bytes: 8 * length,
  };
}

const activation = silu("activation", rows * columns);
/** Next to nothing: what a step costs by itself. */
const single = silu("single", 1);

/** So many of each of these kernels, in turn. Input 0 is the images, input 1 the weights, output 0 what the last makes. */
function calibrationPlan({ limits }: KernelDevice, kernels: readonly Kernel[], count: number): Plan {
  const pixels = { dtype: "f32", length: rows * columns } as const;
  const [images, weights, result, one, other] = [0, 1, 2, 3, 4];
  const bytes = 4 * pixels.length;
  const isArena = limits.temporaries === "arena";
  const chain = Array.from({ length: count }, () => kernels).flat();
  const steps = chain.map((kernel, i): PlanStep => {
    const from = i === 0 ? images : i % 2 === 0 ? other : one;
    const to = i === chain.length - 1 ? result : i % 2 === 0 ? one : other;
    return { kernel, operands: kernel === product ? [from, weights] : [from], results: [to] };
  });
  return {
    buffers: [
      { ...pixels, role: { kind: "input", index: 0 } },
      { dtype: "f32", length: depth * columns, role: { kind: "input", index: 1 } },
      { ...pixels, role: { kind: "output", index: 0 } },
      { ...pixels, role: { kind: "temporary", slot: 0, offset: 0 } },
      { ...pixels, role: { kind: "temporary", slot: isArena ? 0 : 1, offset: isArena ? bytes + 64 : 0 } },
    ],
    steps,
    slots: isArena ? [2 * bytes + 128] : [bytes, bytes],
    inputs: 2,
    outputs: 1,
    aliases: [null],
  };
}

/** Milliseconds of a run of so many of these kernels, the shortest of several; they are waited for. */
async function timeKernels(device: KernelDevice, kernels: readonly Kernel[], count: number, runs: number) {
  const executable = await device.compile(calibrationPlan(device, kernels, count));
  const inputs = [device.allocate("f32", rows * columns), device.allocate("f32", depth * columns)];
  const output = device.allocate("f32", rows * columns);
  const flag = device.allocate("f32", 1);
  try {
    device.upload(at(inputs, 0), new Float32Array(rows * columns).fill(0.5));
    device.upload(at(inputs, 1), new Float32Array(depth * columns).fill(1 / depth));
    device.upload(flag, new Float32Array(1));
    let shortest = Infinity;
    // The first run pays for caches.
    for (let run = 0; run <= runs; run++) {
      const start = performance.now();
      await executable.run(inputs, [output]);
      // Read after all work before it.
      await device.download([flag]);
      if (run > 0) shortest = Math.min(shortest, performance.now() - start);
    }
    return shortest;
  } finally {
    executable.dispose();
    for (const buffer of [...inputs, output, flag]) device.free(buffer);
  }
}

/** How fast a device is, measured with a few layers of a network and what they are made of. */
export async function measureRates(device: KernelDevice, runs = 4): Promise<Rates> {
  const many = 32;
  const step = (await timeKernels(device, [single], many, runs)) / many;
  const sweeps = await timeKernels(device, [activation], layers, runs);
  const products = await timeKernels(device, [product], layers, runs);
  // What noise leaves of a time when what is known of it is taken off.
  const rest = (all: number, known: number): number => Math.max(all - known, all / 10);
  const bytes = (layers * activation.bytes) / rest(sweeps, layers * step);
  const flops = (layers * product.flops) / rest(products, layers * (step + product.bytes / bytes));
  return { flops, bytes, step };
}

/** What devices are compared by. */
export type Workload = {
  /** What it is, in a few words that stand before a verb. */
  readonly what: string;
  /** Milliseconds that it would take a device with these limits and rates; null if it is always measured. */
  readonly estimate: ((limits: DeviceLimits, rates: Rates) => Promise<number>) | null;
  /** Milliseconds that it takes a device, measured. */
  readonly time: (device: KernelDevice) => Promise<number>;
};

/** For who asks for no program in particular: layers of a small network, both arithmetic and what each step costs by itself. */
export const someLayers: Workload = {
  what: "some layers",
  estimate: null,
  time: (device) => timeKernels(device, [product, activation], layers, 4),
};

/** What `auto` stands for, and why, in a few words. */
export type AutomaticDevice = { readonly name: DeviceName; readonly reason: string };

/** Estimates that are further apart than this are believed. */
const clearly = 2;

type Candidate = { readonly name: DeviceName; readonly make: () => Promise<KernelDevice> };
type Finding = { readonly candidate: Candidate; readonly milliseconds: number; readonly told: string };

/**
 * The fastest of some devices for a piece of work, each made, tried and disposed of in turn: by estimate from its measured rates, and by
 * the work itself where estimates are close. One that fails is left out, and its reason told.
 */
export async function fasterDevice(
  candidates: readonly Candidate[],
  { what, estimate, time }: Workload = someLayers,
  rates: (device: KernelDevice) => Promise<Rates> = measureRates,
): Promise<AutomaticDevice> {
  const measure = (some: readonly Candidate[]) =>
    findings(some, time, (name, milliseconds) => `${what} took ${milliseconds.toFixed(1)} ms on ${name}`);
  if (estimate === null) return chosen(await measure(candidates));
  const estimated = await findings(
    candidates,
    async (device) => estimate(device.limits, await rates(device)),
    (name, milliseconds) => `${what} would take about ${roughly(milliseconds)} ms on ${name}`,
  );
  const least = Math.min(...estimated.map(({ milliseconds }) => milliseconds));
  const isClose = ({ milliseconds }: Finding): boolean => milliseconds < Infinity && milliseconds <= clearly * least;
  const close = estimated.filter(isClose);
  if (close.length < 2) return chosen(estimated);
  const others = estimated.filter((finding) => !isClose(finding));
  return chosen([...(await measure(close.map(({ candidate }) => candidate))), ...others]);
}

async function findings(
  candidates: readonly Candidate[],
  millisecondsOf: (device: KernelDevice) => Promise<number>,
  tell: (name: DeviceName, milliseconds: number) => string,
): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const candidate of candidates) {
    const { name, make } = candidate;
    try {
      const device = await make();
      try {
        const milliseconds = await millisecondsOf(device);
        found.push({ candidate, milliseconds, told: tell(name, milliseconds) });
      } finally {
        device.dispose();
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      found.push({ candidate, milliseconds: Infinity, told: `${name} failed (${reason})` });
    }
  }
  return found;
}

/** The first of the fastest. */
function chosen(found: readonly Finding[]): AutomaticDevice {
  const [first, ...others] = found;
  if (first === undefined) throw new RangeError("no devices to choose from");
  const best = others.reduce((least, other) => (other.milliseconds < least.milliseconds ? other : least), first);
  return { name: best.candidate.name, reason: found.map(({ told }) => told).join(", ") };
}

/** Two digits, or whole milliseconds. */
function roughly(milliseconds: number): string {
  return milliseconds < 10 ? milliseconds.toPrecision(2) : milliseconds.toFixed(0);
}
