import type { Device, DeviceBuffer } from "../../engine/devices/device.ts";
import type { TensorData } from "../../engine/graph/dtype.ts";
import { at } from "../../engine/graph/shape.ts";

/** What one buffer holds. */
export async function downloaded(device: Device, buffer: DeviceBuffer): Promise<TensorData> {
  return at(await device.download([buffer]), 0);
}
