import { EvenkeelError } from "../errors.ts";
import { type Device, type DeviceName, deviceNames } from "./device.ts";
import type { WebgpuOptions } from "./gpujs/webgpuOptions.ts";
import type { WasmOptions } from "./wasm/device.ts";

/** A device, its name, or `auto`: a real (not software) WebGPU adapter if there is one, else `wasm`. */
export type DeviceChoice = Device | DeviceName | "auto";

const shared = new Map<DeviceName, Promise<Device>>();

/** What can be set of the devices that have settings. */
export type DeviceOptions = { readonly wasm?: WasmOptions; readonly webgpu?: WebgpuOptions };

/**
 * Makes a new device, owned by the caller: dispose of it.
 * @throws EvenkeelError `device` for an unknown name, or if it isn't to be had here, with the reason.
 */
export async function createDevice(name: DeviceName, options: DeviceOptions = {}): Promise<Device> {
  if (!deviceNames.includes(name)) throw unknownDevice(name, "createDevice");
  // Loaded on demand, so that a program pays only for the device it uses.
  switch (name) {
    case "oracle":
      return (await import("./oracle/oracleDevice.ts")).createOracleDevice();
    case "wasm":
      return (await import("./wasm/device.ts")).createWasmDevice(options.wasm);
    case "webgpu":
      return (await import("./gpujs/webgpuDevice.ts")).createWebgpuDevice(options.webgpu);
    case "webgl2":
      return (await import("./gpujs/webgl2Device.ts")).createWebgl2Device();
    case "cpu":
      return (await import("./gpujs/cpuDevice.ts")).createCpuDevice();
  }
}

function environment(name: string): string | undefined {
  return typeof process === "undefined" ? undefined : process.env[name];
}

function checkName(name: string, from: string): DeviceName | "auto" {
  if (name === "auto" || (deviceNames as readonly string[]).includes(name)) return name as DeviceName | "auto";
  throw unknownDevice(name, from);
}

function unknownDevice(name: string, from: string): EvenkeelError {
  return new EvenkeelError("device", `unknown device "${name}" (${from}). Expected auto, ${deviceNames.join(", ")}.`);
}

async function automaticDevice(): Promise<DeviceName> {
  const { probeWebgpu } = await import("./gpujs/webgpuDevice.ts");
  const probe = await probeWebgpu();
  return probe.available && !probe.software ? "webgpu" : "wasm";
}

/**
 * The device that programs use together: one per name, made at first use. Without a choice the environment variable
 * EVENKEEL_DEVICE decides, else `auto`.
 * @throws EvenkeelError `device` for an unknown name or a device that isn't to be had here. There is no fallback.
 */
export async function getDevice(choice?: DeviceChoice): Promise<Device> {
  if (choice !== undefined && typeof choice !== "string") return choice;
  const fromEnvironment = environment("EVENKEEL_DEVICE");
  const wanted =
    choice !== undefined
      ? checkName(choice, "the device option")
      : fromEnvironment !== undefined && fromEnvironment !== ""
        ? checkName(fromEnvironment, "EVENKEEL_DEVICE")
        : "auto";
  const name = wanted === "auto" ? await automaticDevice() : wanted;
  const known = shared.get(name);
  if (known !== undefined) return known;
  const created = createDevice(name);
  shared.set(name, created);
  // A failure is not remembered: the next call may find what was missing.
  created.catch(() => shared.delete(name));
  return created;
}

/** Disposes of the shared devices; the next `getDevice` makes new ones. */
export async function disposeDevices(): Promise<void> {
  const devices = [...shared.values()];
  shared.clear();
  for (const device of await Promise.allSettled(devices)) {
    if (device.status === "fulfilled") device.value.dispose();
  }
}
