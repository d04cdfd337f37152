import type { Command } from "@commander-js/extra-typings";
import { createDevice, type DeviceName, deviceNames, EvenkeelError, resolveDeviceName } from "../../engine/index.ts";

/** `evenkeel devices`: what this machine can compute on. */
export function addDevicesCommand(program: Command): void {
  program
    .command("devices")
    .description("List the devices of this machine, and which one is taken if none is named.")
    .option("--json", "print the result as JSON")
    .addHelpText("after", "\nExample:\n  $ npx evenkeel devices")
    .action(async ({ json }) => {
      const chosen = await resolveDeviceName();
      const found: { name: DeviceName; available: boolean; isDefault: boolean; detail: string }[] = [];
      for (const name of deviceNames) {
        const device = await describeDevice(name);
        found.push({ name, isDefault: name === chosen, ...device });
        // One by one: what drivers of GPUs print on their own account comes after what is sure.
        const detail = device.available ? device.detail : `not available: ${device.detail}`;
        if (json !== true) console.log(`${name === chosen ? "*" : " "} ${name.padEnd(7)} ${detail}`);
      }
      if (json === true) console.log(JSON.stringify(found, null, 2));
    });
}

async function describeDevice(name: DeviceName): Promise<{ readonly available: boolean; readonly detail: string }> {
  try {
    const device = await createDevice(name);
    device.dispose();
    return { available: true, detail: device.description };
  } catch (reason) {
    if (!(reason instanceof EvenkeelError)) throw reason;
    return { available: false, detail: reason.message };
  }
}
