import { createDevice, type Device, disposeDevices, getDevice, resolveDeviceName } from "../engine/index.ts";
import { keepTuning, tuningOptions } from "./autotune.ts";
import { choiceOf } from "./deviceOption.ts";

/** Does something on the shared device of that name and disposes of the shared devices, also if it fails. */
export async function withDevice(name: string | undefined, action: (device: Device) => Promise<void>): Promise<void> {
  try {
    // The name is checked where devices are made, with the list of those there are.
    await action(await getDevice(name as "auto" | undefined));
  } finally {
    await disposeDevices();
  }
}

/**
 * The same on a device of the command's own, with tiles of a file (`--autotune`), which keeps those that are found; without a file as
 * `withDevice`.
 */
export async function withTunedDevice(
  wanted: string | undefined,
  file: string | undefined,
  action: (device: Device) => Promise<void>,
): Promise<void> {
  if (file === undefined) return withDevice(wanted, action);
  try {
    const name = await resolveDeviceName(wanted as "auto" | undefined);
    const device = await createDevice(name, await tuningOptions(file, name, choiceOf(wanted) !== "auto"));
    try {
      await action(device);
    } finally {
      await keepTuning(file, device, (line) => console.log(line));
      device.dispose();
    }
  } finally {
    await disposeDevices();
  }
}
