/** What the host asks of WebGPU, counted at its door. */
import { mock } from "node:test";

type Class<T> = { readonly prototype: T };
type WebgpuPackage = {
  readonly globals: {
    readonly GPUBuffer: Class<GPUBuffer>;
    readonly GPUQueue: Class<GPUQueue>;
    readonly GPUDevice: Class<GPUDevice>;
    readonly GPUAdapter: Class<GPUAdapter>;
  };
};

/** Calls since the last count. */
export type GpuCalls = {
  readonly submits: number;
  readonly uploads: number;
  readonly readbacks: number;
  readonly pipelines: number;
};

/** What all queues of WebGPU have in common. */
export async function gpuQueue(): Promise<GPUQueue> {
  const { globals } = (await import("webgpu")) as unknown as WebgpuPackage;
  return globals.GPUQueue.prototype;
}

/** What all its adapters have in common. */
export async function gpuAdapter(): Promise<GPUAdapter> {
  const { globals } = (await import("webgpu")) as unknown as WebgpuPackage;
  return globals.GPUAdapter.prototype;
}

/** Counts from now on: each call gives what was asked since the last one. */
export async function countGpuCalls(): Promise<() => GpuCalls> {
  const { globals } = (await import("webgpu")) as unknown as WebgpuPackage;
  const device = globals.GPUDevice.prototype;
  const calls = {
    submits: [mock.method(globals.GPUQueue.prototype, "submit")],
    uploads: [mock.method(globals.GPUQueue.prototype, "writeBuffer")],
    readbacks: [mock.method(globals.GPUBuffer.prototype, "mapAsync")],
    pipelines: [mock.method(device, "createComputePipeline"), mock.method(device, "createComputePipelineAsync")],
  };
  const count = (name: keyof GpuCalls): number =>
    calls[name].reduce((sum, { mock: counter }) => {
      const times = counter.callCount();
      counter.resetCalls();
      return sum + times;
    }, 0);
  return () => ({
    submits: count("submits"),
    uploads: count("uploads"),
    readbacks: count("readbacks"),
    pipelines: count("pipelines"),
  });
}
