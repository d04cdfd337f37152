export { emitKernelSource } from "./emitKernelSource.ts";
export { type SpecialValues, specialValues } from "./specialValues.ts";
export type { GpujsMode } from "./writer.ts";
