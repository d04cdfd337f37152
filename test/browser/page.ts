/** The script of the test page: runs cases on a device of the page and gives back what they found. */
import type { DeviceName } from "../../engine/devices/device.ts";
import { createDevice } from "../../engine/devices/select.ts";
import { type CaseReport, cases } from "./cases.ts";

/** A report with the device it is about. */
export type PageReport = CaseReport & { readonly description: string };

export type RunCases = (name: string, deviceName: DeviceName, seed: number, count: number) => Promise<PageReport>;

const runCases: RunCases = async (name, deviceName, seed, count) => {
  const run = cases[name];
  if (run === undefined) throw new Error(`the page has no case "${name}", only ${Object.keys(cases).join(", ")}`);
  const device = await createDevice(deviceName);
  try {
    return { ...(await run(device, seed, count)), description: device.description };
  } finally {
    device.dispose();
  }
};

Object.assign(globalThis, { runCases });
