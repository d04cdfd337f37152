import type { Command } from "@commander-js/extra-typings";
import { createDevice, type DeviceName, deviceNames, EvenkeelError, getDevice } from "../../engine/index.ts";

/** `evenkeel devices`: what this machine can compute on. */
export function addDevicesCommand(program: Command): void {
  program
    .command("devices")
    .description("List the devices of this machine, and which one is taken if none is named.")
    .option("--json", "print the result as JSON")
    .addHelpText("after", "\nExample:\n  $ npx evenkeel devices")
    .action(async ({ json }) => {
      const chosen = (await getDevice("auto")).name;
      const found: { name: DeviceName; available: boolean; isDefault: boolean; detail: string }[] = [];
      for (const name of deviceNames) {
        const isDefault = name === chosen;
        try {
          const device = await createDevice(name);
          found.push({ name, available: true, isDefault, detail: device.description });
          device.dispose();
        } catch (reason) {
          if (!(reason instanceof EvenkeelError)) throw reason;
          found.push({ name, available: false, isDefault, detail: reason.message });
        }
      }
      if (json === true) console.log(JSON.stringify(found, null, 2));
      else {
        for (const { name, available, isDefault, detail } of found) {
          console.log(`${isDefault ? "*" : " "} ${name.padEnd(7)} ${available ? detail : `not available: ${detail}`}`);
        }
      }
    });
}
