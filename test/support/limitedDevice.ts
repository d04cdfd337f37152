import type { Device, DeviceLimits } from "../../engine/devices/device.ts";

/** The same device, whose programs are made for other limits. Not to be disposed of: the device itself is. */
export function limitedDevice(device: Device, limits: Partial<DeviceLimits>): Device {
  return {
    name: device.name,
    description: device.description,
    limits: { ...device.limits, ...limits },
    usable: true,
    allocate: (dtype, length) => device.allocate(dtype, length),
    upload: (buffer, data) => device.upload(buffer, data),
    download: (buffer) => device.download(buffer),
    free: (buffer) => device.free(buffer),
    compile: (program) => device.compile(program),
    memory: () => device.memory(),
    dispose: () => undefined,
  };
}
