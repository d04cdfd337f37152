export { emitKernelSource } from "./emitKernelSource.ts";
export type { GpujsMode } from "./writer.ts";
