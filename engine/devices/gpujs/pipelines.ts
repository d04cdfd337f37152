/** How compute pipelines are made: all at once by threads of the driver, or one after the other on this thread. */
import { eventLoopTurn } from "../eventLoop.ts";

/** @throws (rejects) if WebGPU has something against it */
export type PipelineMaker = (descriptor: GPUComputePipelineDescriptor) => Promise<GPUComputePipeline>;

/** Drivers make pipelines on threads of their own, while others are asked for. */
export const pipelinesTogether =
  (device: GPUDevice): PipelineMaker =>
  (descriptor) =>
    device.createComputePipelineAsync(descriptor);

/**
 * One after the other on this thread, with turns of the event loop between them. In Node who waits for WebGPU asks it over and over,
 * which takes a core for as long as it takes: more than to make the pipelines, where the CPU acts for a GPU.
 */
export function pipelinesInTurn(device: GPUDevice): PipelineMaker {
  let previous = Promise.resolve();
  return async (descriptor) => {
    previous = previous.then(() => eventLoopTurn());
    await previous;
    device.pushErrorScope("internal");
    device.pushErrorScope("validation");
    const pipeline = device.createComputePipeline(descriptor);
    const errors = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
    for (const error of errors) if (error !== null) throw new Error(error.message);
    return pipeline;
  };
}
