import type { Device } from "../devices/device.ts";

const queues = new WeakMap<Device, Promise<unknown>>();

/** Runs tasks on a device one after the other, in the order of the calls: buffers of programs and states are shared between runs. */
export function runExclusively<T>(device: Device, task: () => Promise<T>): Promise<T> {
  const before = queues.get(device) ?? Promise.resolve();
  const result = before.then(task);
  queues.set(
    device,
    result.catch(() => undefined),
  );
  return result;
}
