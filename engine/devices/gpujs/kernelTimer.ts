/** Time of each kernel of a run. */
import { mapMode, usage } from "./bufferUsage.ts";
import type { BoundSet, Dispatch } from "./bindGroups.ts";

/** Queries in a set at most (WebGPU's limit is 4096); a pass takes two. */
const passesPerSet = 2048;

/**
 * Runs the dispatches one by one and gives the milliseconds of each. With timestamp queries if the device has them.
 * @param repeats runs of each, one after the other, of which the mean is given: what is short is told better by many
 */
export async function timeDispatches(
  device: GPUDevice,
  dispatches: readonly Dispatch[],
  { groups }: BoundSet,
  repeats = 1,
): Promise<number[]> {
  const parts = dispatches.map((dispatch, i) => new Array<Part>(repeats).fill({ dispatch, group: groups[i] }));
  return (await timePasses(device, parts)).map((time) => time / repeats);
}

/** Milliseconds of all dispatches in one pass. */
export async function timePass(
  device: GPUDevice,
  dispatches: readonly Dispatch[],
  { groups }: BoundSet,
): Promise<number> {
  const [time = NaN] = await timePasses(device, [dispatches.map((dispatch, i) => ({ dispatch, group: groups[i] }))]);
  return time;
}

/** A dispatch with what is bound to it. */
type Part = { readonly dispatch: Dispatch; readonly group: GPUBindGroup | undefined };

async function timePasses(device: GPUDevice, passes: readonly (readonly Part[])[]): Promise<number[]> {
  const times: number[] = [];
  if (device.features.has("timestamp-query")) {
    for (let first = 0; first < passes.length; first += passesPerSet) {
      times.push(...(await timeByTimestamps(device, passes.slice(first, first + passesPerSet))));
    }
    return times;
  }
  await device.queue.onSubmittedWorkDone();
  for (const pass of passes) {
    const encoder = device.createCommandEncoder();
    encodePass(encoder, pass, {});
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    times.push(performance.now() - start);
  }
  return times;
}

async function timeByTimestamps(device: GPUDevice, passes: readonly (readonly Part[])[]): Promise<number[]> {
  const count = 2 * passes.length;
  const querySet = device.createQuerySet({ type: "timestamp", count });
  const resolved = device.createBuffer({ size: 8 * count, usage: usage.queryResolve | usage.copySource });
  const staging = device.createBuffer({ size: 8 * count, usage: usage.mapRead | usage.copyDestination });
  try {
    const encoder = device.createCommandEncoder();
    passes.forEach((pass, i) => {
      encodePass(encoder, pass, {
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      });
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(mapMode.read);
    const nanoseconds = new BigInt64Array(staging.getMappedRange().slice(0));
    // A GPU may restart its clock between two passes; such a time is unknown and given as zero.
    return passes.map((_, i) => Math.max(0, Number((nanoseconds[2 * i + 1] ?? 0n) - (nanoseconds[2 * i] ?? 0n)) / 1e6));
  } finally {
    querySet.destroy();
    resolved.destroy();
    staging.destroy();
  }
}

function encodePass(encoder: GPUCommandEncoder, parts: readonly Part[], descriptor: GPUComputePassDescriptor): void {
  const pass = encoder.beginComputePass(descriptor);
  let pipeline: GPUComputePipeline | undefined;
  for (const { dispatch, group } of parts) {
    if (dispatch.kernel.pipeline !== pipeline) pass.setPipeline(dispatch.kernel.pipeline);
    pipeline = dispatch.kernel.pipeline;
    pass.setBindGroup(0, group ?? null);
    pass.dispatchWorkgroups(...dispatch.kernel.groups);
  }
  pass.end();
}
