/** WGSL of our own for kernels: schedules (`elementwise.ts`, `reduction.ts`) over expressions, addresses and functions. */
export { emitKernel } from "./emitKernel.ts";
export type { Aliases, BoundArray, WgslKernel } from "./wgslKernel.ts";
