/** The script of the test page: runs cases on a device of the page and gives back what they found. */
import type { Device, DeviceName } from "../../engine/devices/device.ts";
import { createDevice } from "../../engine/devices/select.ts";
import { EvenkeelError } from "../../engine/errors.ts";
import { type CaseName, type CaseReport, cases } from "./cases.ts";

/** A report with the device it is about, or why the page has no such device. */
export type PageReport =
  | ({ readonly kind: "ran"; readonly description: string } & CaseReport)
  | { readonly kind: "unavailable"; readonly reason: string };

export type RunCases = (name: CaseName, deviceName: DeviceName, seed: number, count: number) => Promise<PageReport>;

async function openDevice(name: DeviceName): Promise<Device | EvenkeelError> {
  try {
    return await createDevice(name);
  } catch (error) {
    if (error instanceof EvenkeelError && error.code === "device") return error;
    throw error;
  }
}

const runCases: RunCases = async (name, deviceName, seed, count) => {
  const device = await openDevice(deviceName);
  if (device instanceof EvenkeelError) return { kind: "unavailable", reason: device.message };
  try {
    return { kind: "ran", description: device.description, ...(await cases[name](device, seed, count)) };
  } finally {
    device.dispose();
  }
};

Object.assign(globalThis, { runCases });
