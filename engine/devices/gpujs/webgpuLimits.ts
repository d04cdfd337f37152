/** What passes must keep to on WebGPU, by what the adapter grants. */
import type { DeviceLimits } from "../device.ts";
import type { WebgpuKernels } from "./webgpuOptions.ts";
import { writtenInFours } from "./wgsl/index.ts";
import { halvedIntegers, wholeIntegers } from "./words.ts";

/** What plans depend on of a GPUDevice. */
export type GrantedLimits = {
  /** Arrays that one kernel may read and write. */
  readonly arrayLimit: number;
  /** Bytes that one buffer may have. */
  readonly byteLimit: number;
};

/** What WebGPU promises of every adapter: eight storage buffers of 128 MiB. */
export const promisedLimits: GrantedLimits = { arrayLimit: 8, byteLimit: 2 ** 27 };

/** Scalar operations of one kernel: gpu.js's translation takes a few hundred microseconds each, and registers run out in long code. */
const scalarLimits: Readonly<Record<WebgpuKernels, number>> = { generated: 64, own: 160 };
/** Workgroups that keep a large GPU busy. Kernels that gpu.js translates have no tiles. */
const concurrency: Readonly<Record<WebgpuKernels, number>> = { generated: 1, own: 256 };
/** Results of one kernel, of which each takes a binding that an operand could have. */
const resultLimit = 4;

/** The limits of a device `webgpu` on an adapter that grants these. */
export function webgpuLimits({ arrayLimit, byteLimit }: GrantedLimits, kernels: WebgpuKernels): DeviceLimits {
  const isOwn = kernels === "own";
  const { wordsOf } = isOwn ? wholeIntegers : halvedIntegers;
  return {
    operands: arrayLimit - 1,
    results: isOwn ? resultLimit : 1,
    arrays: arrayLimit,
    joins: "points",
    elements: Math.floor(byteLimit / (4 * wordsOf("i32", 1))),
    temporaries: "slots",
    overlap: true,
    batches: isOwn,
    chains: isOwn,
    inPlace: isOwn,
    scalars: scalarLimits[kernels],
    concurrency: concurrency[kernels],
    factors: isOwn ? "made" : "stored",
    arithmetic: isOwn ? "plenty" : "scarce",
    layouts: isOwn ? "chosen" : "inOrder",
    writtenInFours: isOwn ? writtenInFours : null,
    memory: Infinity,
  };
}
