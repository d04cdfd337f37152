import { type Device, disposeDevices, getDevice } from "../engine/index.ts";

/** Does something on the shared device of that name and disposes of the shared devices, also if it fails. */
export async function withDevice(name: string | undefined, action: (device: Device) => Promise<void>): Promise<void> {
  try {
    // The name is checked where devices are made, with the list of those there are.
    await action(await getDevice(name as "auto" | undefined));
  } finally {
    await disposeDevices();
  }
}
