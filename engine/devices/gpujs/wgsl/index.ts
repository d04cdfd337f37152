/** WGSL of our own for kernels: schedules (`elementwise.ts`, `reduction.ts`, `product/`) over expressions, addresses and functions. */
export { emitKernel, type EmitOptions } from "./emitKernel.ts";
export type { Aliases, BoundArray, WgslKernel } from "./wgslKernel.ts";
