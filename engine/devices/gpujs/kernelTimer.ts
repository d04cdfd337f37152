/** Time of each kernel of a run. */
import { mapMode, usage } from "./bufferUsage.ts";
import type { BoundSet, Dispatch } from "./bindGroups.ts";

/** Queries in a set at most (WebGPU's limit is 4096); a kernel takes two. */
const kernelsPerSet = 2048;

/** Runs the dispatches one by one and gives the milliseconds of each. With timestamp queries if the device has them. */
export async function timeDispatches(
  device: GPUDevice,
  dispatches: readonly Dispatch[],
  { groups }: BoundSet,
): Promise<number[]> {
  const times: number[] = [];
  if (device.features.has("timestamp-query")) {
    for (let first = 0; first < dispatches.length; first += kernelsPerSet) {
      const part = dispatches.slice(first, first + kernelsPerSet);
      times.push(...(await timeByTimestamps(device, part, groups.slice(first, first + kernelsPerSet))));
    }
    return times;
  }
  await device.queue.onSubmittedWorkDone();
  for (const [i, dispatch] of dispatches.entries()) {
    const encoder = device.createCommandEncoder();
    encodeAlone(encoder, dispatch, groups[i], {});
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    times.push(performance.now() - start);
  }
  return times;
}

async function timeByTimestamps(
  device: GPUDevice,
  dispatches: readonly Dispatch[],
  groups: readonly GPUBindGroup[],
): Promise<number[]> {
  const count = 2 * dispatches.length;
  const querySet = device.createQuerySet({ type: "timestamp", count });
  const resolved = device.createBuffer({ size: 8 * count, usage: usage.queryResolve | usage.copySource });
  const staging = device.createBuffer({ size: 8 * count, usage: usage.mapRead | usage.copyDestination });
  try {
    const encoder = device.createCommandEncoder();
    dispatches.forEach((dispatch, i) => {
      encodeAlone(encoder, dispatch, groups[i], {
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      });
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(mapMode.read);
    const nanoseconds = new BigInt64Array(staging.getMappedRange().slice(0));
    // A GPU may restart its clock between two passes; such a time is unknown and given as zero.
    return dispatches.map((_, i) =>
      Math.max(0, Number((nanoseconds[2 * i + 1] ?? 0n) - (nanoseconds[2 * i] ?? 0n)) / 1e6),
    );
  } finally {
    querySet.destroy();
    resolved.destroy();
    staging.destroy();
  }
}

function encodeAlone(
  encoder: GPUCommandEncoder,
  { kernel }: Dispatch,
  group: GPUBindGroup | undefined,
  descriptor: GPUComputePassDescriptor,
): void {
  const pass = encoder.beginComputePass(descriptor);
  pass.setPipeline(kernel.pipeline);
  pass.setBindGroup(0, group ?? null);
  pass.dispatchWorkgroups(...kernel.groups);
  pass.end();
}
