import type { Device, DeviceLimits, KernelDevice } from "../../engine/devices/device.ts";

/** The same device, whose programs are made for other limits. Not to be disposed of: the device itself is. */
export function limitedDevice(device: Device, limits: Partial<DeviceLimits>): KernelDevice {
  if (device.runs !== "kernels") throw new TypeError(`${device.name} has no limits`);
  return {
    runs: "kernels",
    name: device.name,
    description: device.description,
    traits: device.traits,
    limits: { ...device.limits, ...limits },
    queue: device.queue,
    usable: true,
    allocate: (dtype, length) => device.allocate(dtype, length),
    upload: (buffer, data) => device.upload(buffer, data),
    download: (buffers) => device.download(buffers),
    move: (from, to) => device.move(from, to),
    free: (buffer) => device.free(buffer),
    compile: (plan) => device.compile(plan),
    memory: () => device.memory(),
    dispose: () => undefined,
  };
}
