import { countGpuCalls } from "./countGpuCalls.ts";

/** Counts how often buffers of WebGPU are mapped from now on: each call gives how often since the last one. */
export async function countMappings(): Promise<() => number> {
  const count = await countGpuCalls();
  return () => count().readbacks;
}
