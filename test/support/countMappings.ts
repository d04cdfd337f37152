import { mock } from "node:test";

type WebgpuPackage = { readonly globals: { readonly GPUBuffer: { readonly prototype: GPUBuffer } } };

/** Counts how often buffers of WebGPU are mapped from now on: each call gives how often since the last one. */
export async function countMappings(): Promise<() => number> {
  const { globals } = (await import("webgpu")) as unknown as WebgpuPackage;
  const { mock: calls } = mock.method(globals.GPUBuffer.prototype, "mapAsync");
  return () => {
    const count = calls.callCount();
    calls.resetCalls();
    return count;
  };
}
