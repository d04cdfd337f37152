import type { Command } from "@commander-js/extra-typings";
import {
  createDevice,
  describeBytes,
  type Device,
  type DeviceName,
  deviceNames,
  EvenkeelError,
  resolveDeviceName,
} from "../../engine/index.ts";

type Adapter = Device["traits"]["adapter"];

type Found = { readonly available: boolean; readonly detail: string; readonly adapter: Adapter };

/** `evenkeel devices`: what this machine can compute on. */
export function addDevicesCommand(program: Command): void {
  program
    .command("devices")
    .description("List the devices of this machine, and which one is taken if none is named.")
    .option("--json", "print the result as JSON")
    .addHelpText("after", "\nExample:\n  $ npx evenkeel devices")
    .action(async ({ json }) => {
      const chosen = await resolveDeviceName();
      const found: (Found & { readonly name: DeviceName; readonly isDefault: boolean })[] = [];
      for (const name of deviceNames) {
        const device = await describeDevice(name);
        found.push({ name, isDefault: name === chosen, ...device });
        // One by one: what drivers of GPUs print on their own account comes after what is sure.
        const detail = device.available ? device.detail : `not available: ${device.detail}`;
        if (json === true) continue;
        console.log(`${name === chosen ? "*" : " "} ${name.padEnd(7)} ${detail}`);
        for (const line of describeGrants(device.adapter)) console.log(`${" ".repeat(10)}${line}`);
      }
      if (json === true) console.log(JSON.stringify(found, null, 2));
    });
}

async function describeDevice(name: DeviceName): Promise<Found> {
  try {
    const device = await createDevice(name);
    device.dispose();
    return { available: true, detail: device.description, adapter: device.traits.adapter };
  } catch (reason) {
    // Not what the machine lacks, but a setting that is none.
    if (!(reason instanceof EvenkeelError) || reason.code === "value") throw reason;
    return { available: false, detail: reason.message, adapter: null };
  }
}

/** What a WebGPU adapter grants, in a few lines; none for other devices. */
export function describeGrants(adapter: Adapter): readonly string[] {
  if (adapter === null || Object.keys(adapter.limits).length === 0) return [];
  const limit = (name: string): number => adapter.limits[name] ?? 0;
  return [
    `workgroups of ${limit("maxComputeInvocationsPerWorkgroup")} invocations, at most ${limit("maxComputeWorkgroupSizeX")} x ` +
      `${limit("maxComputeWorkgroupSizeY")}, with ${describeBytes(limit("maxComputeWorkgroupStorageSize"))} of their own; ` +
      `${limit("maxComputeWorkgroupsPerDimension")} of them in each dimension`,
    `${limit("maxStorageBuffersPerShaderStage")} arrays a kernel, ${describeBytes(limit("maxStorageBufferBindingSize"))} of each, ` +
      `buffers of ${describeBytes(limit("maxBufferSize"))}`,
    `features: ${adapter.features.join(", ") || "none of those asked for"}`,
  ];
}
