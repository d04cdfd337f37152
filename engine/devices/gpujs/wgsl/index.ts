/** WGSL of our own for kernels: schedules (`elementwise.ts`, `reduction.ts`, `product/`) over expressions, addresses and functions. */
export { emitBatches, type WgslBatch } from "./batch.ts";
export { emitKernel, type EmitOptions, schedulesFor } from "./emitKernel.ts";
export { writtenInFours } from "./fours.ts";
export type { PlacedKernel, PlacedRows } from "./placed.ts";
export { emitRows } from "./rows.ts";
export { type Aliases, type BoundArray, noAliases, type WgslKernel } from "./wgslKernel.ts";
