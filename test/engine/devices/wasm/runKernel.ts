import type { KernelDevice } from "../../../../engine/devices/device.ts";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import type { Kernel } from "../../../../engine/kernel/kernel.ts";
import { planOf } from "./exactKernels.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

/** Runs one kernel on a device; gives its result and how it was computed. */
export async function runKernel(
  device: KernelDevice,
  kernel: Kernel,
  data: readonly TensorData[],
): Promise<{ result: TensorData; schedule: string }> {
  const executable = await device.compile(planOf(kernel));
  const inputs = kernel.operands.map(({ dtype, length }) => device.allocate(dtype, length));
  const [{ dtype, length }] = kernel.stores;
  const output = device.allocate(dtype, length);
  try {
    inputs.forEach((input, index) => device.upload(input, data[index] ?? new Float32Array()));
    await executable.run(inputs, [output]);
    const [source] = executable.sources();
    const schedule = /;; schedule: (.*)/.exec(source?.text ?? "")?.[1] ?? "";
    return { result: await downloaded(device, output), schedule };
  } finally {
    for (const buffer of [...inputs, output]) device.free(buffer);
    executable.dispose();
  }
}
