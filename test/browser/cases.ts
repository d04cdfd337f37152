/** What a page can be asked to run: cases by name. No Node imports here, nor in anything this imports. */
import type { Device } from "../../engine/devices/device.ts";

/** What a case found on a device. */
export type CaseReport = { readonly ran: number; readonly failures: readonly string[] };

/** Runs `count` random instances drawn from `seed` on a device. */
export type BrowserCase = (device: Device, seed: number, count: number) => Promise<CaseReport>;

export const cases: Readonly<Record<string, BrowserCase>> = {};
