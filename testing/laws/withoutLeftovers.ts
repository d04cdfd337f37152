/** What a law asks of every device besides right results: it gives back the memory that it took. */
import type { Device } from "../../engine/devices/device.ts";
import { titleOf } from "../graphCase.ts";

/** Does something with a device. @throws Error if the device holds more or less memory afterwards than before, with both */
export async function withoutLeftovers<T>(device: Device, seed: number, action: () => Promise<T>): Promise<T> {
  const before = await settledMemory(device);
  const result = await action();
  const after = await settledMemory(device);
  if (after.bytes === before.bytes && after.buffers === before.buffers) return result;
  throw new Error(
    `seed ${seed}: ${titleOf(device)} holds ${after.bytes} bytes in ${after.buffers} buffers, before it were ${before.bytes} in ${before.buffers}`,
  );
}

/** What is disposed of is freed when the work before it is done, which may be in a later turn. */
async function settledMemory(device: Device): Promise<{ readonly bytes: number; readonly buffers: number }> {
  await new Promise((done) => setTimeout(done, 0));
  return device.memory();
}
