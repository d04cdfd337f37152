/** What the kernels of an explanation cost, compared with each other. */
import type { ExplainedKernel } from "./explain.ts";

type Costs = Pick<ExplainedKernel, "milliseconds" | "flops" | "bytes">;

/** Kernels of one program beside each other. */
export type KernelCosts = {
  /** By what they are compared: time if all of them were measured, else arithmetic. */
  readonly measure: "time" | "flops";
  /** Of each kernel, 0 to 1. */
  readonly shares: readonly number[];
  /** Of all kernels; null where not all were measured. */
  readonly milliseconds: number | null;
  readonly flops: number;
};

/**
 * Compares kernels by their time if it was measured, else by their arithmetic.
 * @example
 * ```ts
 * const costs = kernelCosts([{ flops: 100, bytes: 8, milliseconds: 3 }, { flops: 900, bytes: 8, milliseconds: 1 }]);
 * console.log(costs.shares, costs.milliseconds); // [ 0.75, 0.25 ] 4
 * ```
 */
export function kernelCosts(kernels: readonly Costs[]): KernelCosts {
  const times = kernels.flatMap(({ milliseconds }) => (milliseconds === undefined ? [] : [milliseconds]));
  const isMeasured = kernels.length > 0 && times.length === kernels.length;
  const flops = kernels.map((kernel) => kernel.flops);
  const costs = isMeasured ? times : flops;
  const total = sum(costs);
  return {
    measure: isMeasured ? "time" : "flops",
    shares: costs.map((cost) => (total === 0 ? 0 : cost / total)),
    milliseconds: isMeasured ? total : null,
    flops: sum(flops),
  };
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/**
 * Arithmetic per byte of a kernel: below the machine's balance it is bound by memory. Null for one that touches none.
 * @example console.log(intensity({ flops: 100, bytes: 8, milliseconds: undefined })); // 12.5
 */
export function intensity({ flops, bytes }: Costs): number | null {
  return bytes === 0 ? null : flops / bytes;
}

/**
 * Billions of operations a second; null where no time was measured.
 * @example console.log(gigaflopsPerSecond({ flops: 6e9, bytes: 8, milliseconds: 1000 })); // 6
 */
export function gigaflopsPerSecond({ flops, milliseconds }: Costs): number | null {
  return milliseconds === undefined || milliseconds === 0 ? null : flops / milliseconds / 1e6;
}
