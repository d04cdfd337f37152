import { createDevice, type Device, type DeviceName, type DeviceOptions, EvenkeelError } from "../../engine/index.ts";
import type { PlannedSettings } from "./settings.ts";

/**
 * The device that a run is trained on: `wasm` with as many threads as its settings say, and with fused multiply-add where the machine has
 * it, unless the run is to be deterministic across machines. What ran is in the checkpoint. Dispose of it.
 * @param options of other devices.
 * @throws EvenkeelError `device` if it isn't to be had here, with the reason.
 * @example
 * ```ts
 * const device = await createRunDevice("wasm", { threads: 1, deterministic: true });
 * console.log(device.name, device.traits.threads); // wasm 1
 * device.dispose();
 * ```
 */
export async function createRunDevice(
  name: DeviceName,
  { threads, deterministic }: Pick<PlannedSettings, "threads" | "deterministic">,
  options: DeviceOptions = {},
): Promise<Device> {
  if (name !== "wasm") return createDevice(name, options);
  const wasm = { ...options.wasm, ...(threads === undefined ? {} : { threads }), relaxed: !deterministic };
  try {
    return await createDevice("wasm", { wasm });
  } catch (reason) {
    if (!(reason instanceof EvenkeelError) || deterministic) throw reason;
    return createDevice("wasm", { wasm: { ...wasm, relaxed: false } });
  }
}
