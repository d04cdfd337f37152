/**
 * Which of several devices is faster, measured: a few layers of a small network's training, as one plan of products and element-wise
 * steps that follow each other, so that both arithmetic and what each step costs by itself count.
 */
import { at } from "../graph/shape.ts";
import type { Kernel, Scalar } from "../kernel/kernel.ts";
import type { Plan, PlanStep } from "../kernel/plan.ts";
import type { DeviceName, KernelDevice } from "./device.ts";

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

/** silu. */
const activation: Kernel = {
  name: "activation",
  axes: [{ role: "parallel", size: rows * columns }],
  operands: [{ dtype: "f32", length: rows * columns }],
  reduction: null,
  stores: [
    {
      value: multiply(load(0, [1]), { kind: "unary", dtype: "f32", op: "sigmoid", x: load(0, [1]) }),
      dtype: "f32",
      length: rows * columns,
      at: { offset: 0, coefficients: [1] },
    },
  ],
  flops: 12 * rows * columns,
  bytes: 8 * rows * columns,
};

/** Input 0 is the images, input 1 the weights, output 0 what the last layer makes. */
function calibrationPlan({ limits }: KernelDevice): Plan {
  const pixels = { dtype: "f32", length: rows * columns } as const;
  const [images, weights, result, product1, activated] = [0, 1, 2, 3, 4];
  const bytes = 4 * pixels.length;
  const isArena = limits.temporaries === "arena";
  const steps = Array.from({ length: layers }, (_, layer): readonly PlanStep[] => [
    { kernel: product, operands: [layer === 0 ? images : activated, weights], results: [product1] },
    { kernel: activation, operands: [product1], results: [layer === layers - 1 ? result : activated] },
  ]).flat();
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

/** Milliseconds of a run, the shortest of several; results are waited for. */
export async function calibrate(device: KernelDevice, runs = 4): Promise<number> {
  const executable = await device.compile(calibrationPlan(device));
  const inputs = [device.allocate("f32", rows * columns), device.allocate("f32", depth * columns)];
  const output = device.allocate("f32", rows * columns);
  try {
    device.upload(at(inputs, 0), new Float32Array(rows * columns).fill(0.5));
    device.upload(at(inputs, 1), new Float32Array(depth * columns).fill(1 / depth));
    let shortest = Infinity;
    // The first run pays for caches.
    for (let run = 0; run <= runs; run++) {
      const start = performance.now();
      await executable.run(inputs, [output]);
      await device.download([output]);
      if (run > 0) shortest = Math.min(shortest, performance.now() - start);
    }
    return shortest;
  } finally {
    executable.dispose();
    for (const buffer of [...inputs, output]) device.free(buffer);
  }
}

/** What `auto` stands for, and why, in a few words. */
export type AutomaticDevice = { readonly name: DeviceName; readonly reason: string };

/** The faster of some devices, each made, measured and disposed of in turn; one that fails is left out, and its reason told. */
export async function fasterDevice(
  candidates: readonly { readonly name: DeviceName; readonly make: () => Promise<KernelDevice> }[],
  measure: (device: KernelDevice) => Promise<number> = calibrate,
): Promise<AutomaticDevice> {
  const measured: { readonly name: DeviceName; readonly milliseconds: number; readonly told: string }[] = [];
  for (const { name, make } of candidates) {
    try {
      const device = await make();
      try {
        const milliseconds = await measure(device);
        measured.push({ name, milliseconds, told: `some layers took ${milliseconds.toFixed(1)} ms on ${name}` });
      } finally {
        device.dispose();
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      measured.push({ name, milliseconds: Infinity, told: `${name} failed (${reason})` });
    }
  }
  const [first, ...others] = measured;
  if (first === undefined) throw new RangeError("no devices to choose from");
  const best = others.reduce((least, other) => (other.milliseconds < least.milliseconds ? other : least), first);
  return { name: best.name, reason: measured.map(({ told }) => told).join(", ") };
}
