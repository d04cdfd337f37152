/**
 * Writes kernels as loops over their axes: which loops (`schedule.ts`), what stands in them (`emitKernel.ts`). Imports `assembler`
 * and `math`.
 */
export type { Access, Addresses } from "./emitAddresses.ts";
export type { EmitContext } from "./emitContext.ts";
export { emitKernel, type ReducePoints } from "./emitKernel.ts";
export { segmentsOf } from "./emitRegions.ts";
export {
  addressOf,
  type EmitOptions,
  kernelParameters,
  type Phase,
  resultAddress,
  type Scratch,
  scratchAddress,
  type Share,
  tableOf,
} from "./phase.ts";
export { blockOf, nestOf } from "./nest.ts";
export { type Schedule, scheduleKernel, scheduleRows, scheduleSweep } from "./schedule.ts";
