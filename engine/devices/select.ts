import { EvenkeelError } from "../errors.ts";
import { type Device, type GraphDevice, type KernelDevice, type DeviceName, deviceNames } from "./device.ts";
import type { AutomaticDevice, Workload } from "./calibration.ts";
import type { WebgpuOptions } from "./gpujs/webgpuOptions.ts";
import type { WasmOptions } from "./wasm/device.ts";

/**
 * A device, its name, or `auto`: `wasm`, or `webgpu` if there is a real (not software) adapter on which some layers of a network take
 * less time, which is measured. `auto` has to be asked for: to look for an adapter loads Dawn in Node, and what it finds differs from
 * machine to machine.
 */
export type DeviceChoice = Device | DeviceName | "auto";

const shared = new Map<DeviceName, Promise<Device>>();

/** Shared devices that were lost: others took their place, but who still holds one may read what is left of it. */
const lost = new Set<Device>();

/** What can be set of the devices that have settings. */
export type DeviceOptions = { readonly wasm?: WasmOptions; readonly webgpu?: WebgpuOptions };

/**
 * Makes a new device, owned by the caller: dispose of it.
 * @throws EvenkeelError `device` for an unknown name, or if it isn't to be had here, with the reason.
 * @example
 * ```ts
 * const device = await createDevice("wasm");
 * console.log(device.name, device.traits.threads >= 1); // wasm true
 * device.dispose();
 * ```
 */
export async function createDevice(name: "oracle"): Promise<GraphDevice>;
export async function createDevice(name: Exclude<DeviceName, "oracle">, options?: DeviceOptions): Promise<KernelDevice>;
export async function createDevice(name: DeviceName, options?: DeviceOptions): Promise<Device>;
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

/** Options of `compile` are an object, too: `createState(tree, { device })` is a mistake to tell. */
function checkDevice(choice: Device): Device {
  const given: unknown = choice;
  if (typeof given === "object" && given !== null && "allocate" in given) return choice;
  throw new EvenkeelError(
    "device",
    `expected a device (of createDevice or getDevice) or its name, got ${given === null ? "null" : `a value of type ${typeof given}`}. ` +
      `Names are auto, ${deviceNames.join(", ")}.`,
  );
}

function unknownDevice(name: string, from: string): EvenkeelError {
  return new EvenkeelError("value", `unknown device "${name}" (${from}). Expected auto, ${deviceNames.join(", ")}.`);
}

/** What `auto` stands for. Decided once: asking for an adapter takes half a millisecond, and the answer may change. */
let automatic: Promise<AutomaticDevice> | undefined;

function automaticDevice(): Promise<AutomaticDevice> {
  if (automatic === undefined) {
    const decision = decide();
    automatic = decision;
    decision.catch(() => forgetDecision(decision));
  }
  return automatic;
}

async function decide(work?: Workload): Promise<AutomaticDevice> {
  // A page without a GPU asks its host for this file alone.
  const { probeWebgpu } = await import("./gpujs/adapterSelection.ts");
  const probe = await probeWebgpu();
  if (!probe.available) return { name: "wasm", reason: "there is no GPU" };
  if (probe.software) return { name: "wasm", reason: `there is no GPU but software, ${probe.description}` };
  const { fasterDevice } = await import("./calibration.ts");
  const candidates = [
    { name: "wasm", make: () => createDevice("wasm") },
    { name: "webgpu", make: () => createDevice("webgpu") },
  ] as const;
  return fasterDevice(candidates, work);
}

function forgetDecision(decision: Promise<AutomaticDevice> | undefined): void {
  if (automatic === decision) automatic = undefined;
}

/** The device of who names none. */
export const defaultDevice = "wasm" satisfies DeviceName;

function wantedDevice(choice: DeviceName | "auto" | undefined): DeviceName | "auto" {
  if (choice !== undefined) return checkName(choice, "the device option");
  const fromEnvironment = environment("EVENKEEL_DEVICE");
  return fromEnvironment === undefined || fromEnvironment === ""
    ? defaultDevice
    : checkName(fromEnvironment, "EVENKEEL_DEVICE");
}

/**
 * The name of the device that `getDevice` would give, without making it.
 * @throws EvenkeelError `device` for an unknown name.
 * @example console.log(await resolveDeviceName("cpu")); // cpu
 */
export async function resolveDeviceName(choice?: DeviceName | "auto"): Promise<DeviceName> {
  const wanted = wantedDevice(choice);
  return wanted === "auto" ? (await automaticDevice()).name : wanted;
}

/**
 * What `auto` stands for here, and why. Decided once, at the first call of this or of a function that is given `auto`.
 * @param work to decide for it alone, anew
 * @throws never; a device that fails isn't chosen, and the reason says so
 * @example
 * ```ts
 * const { name, reason } = await chooseAutomatically();
 * console.log(deviceNames.includes(name), reason.length > 0); // true true
 * ```
 */
export function chooseAutomatically(work?: Workload): Promise<AutomaticDevice> {
  return work === undefined ? automaticDevice() : decide(work);
}

/**
 * The device that programs use together: one per name, made at first use. Without a choice the environment variable
 * EVENKEEL_DEVICE decides, else it is `wasm`. What `auto` is is decided once, and again only after `disposeDevices` or if that device
 * fails. In place of one that was lost or disposed of a new one is made.
 * @throws EvenkeelError `device` for an unknown name or a device that isn't to be had here. There is no fallback.
 * @example
 * ```ts
 * const device = await getDevice("wasm");
 * console.log(device === (await getDevice("wasm"))); // true
 * ```
 */
export async function getDevice(choice?: DeviceChoice): Promise<Device> {
  if (choice !== undefined && typeof choice !== "string") return checkDevice(choice);
  for (;;) {
    const wanted = wantedDevice(choice);
    const decision = wanted === "auto" ? automaticDevice() : undefined;
    const name = wanted === "auto" ? (await automaticDevice()).name : wanted;
    const known = shared.get(name);
    const entry = known ?? shareNew(name);
    const forget = (): void => {
      if (shared.get(name) === entry) shared.delete(name);
      if (decision !== undefined) forgetDecision(decision);
    };
    let device: Device;
    try {
      device = await entry;
    } catch (reason) {
      // A failure is not remembered: the next call may find what was missing.
      forget();
      throw reason;
    }
    // One that is lost as soon as it is made says itself why.
    if (device.usable || known === undefined) return device;
    forget();
    lost.add(device);
  }
}

function shareNew(name: DeviceName): Promise<Device> {
  const created = createDevice(name);
  shared.set(name, created);
  return created;
}

/**
 * Disposes of the shared devices; the next `getDevice` makes new ones, and decides anew what `auto` is.
 * @example
 * ```ts
 * const device = await getDevice("oracle");
 * await disposeDevices();
 * console.log(device.usable); // false
 * ```
 */
export async function disposeDevices(): Promise<void> {
  const devices = [...shared.values()];
  shared.clear();
  automatic = undefined;
  for (const device of lost) device.dispose();
  lost.clear();
  for (const device of await Promise.allSettled(devices)) {
    if (device.status === "fulfilled") device.value.dispose();
  }
}
