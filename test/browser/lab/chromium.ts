import { findChromium } from "../run.ts";

const found = findChromium();

/** Why tests of the lab can't be run here, or false. */
export const skip = found === undefined ? "no chromium: install it or name it by CHROMIUM" : false;

/** Of no use where tests are skipped. */
export const chromiumPath = found ?? "";

/**
 * What to do where Chromium has no such device: headless, it has every one by software, so where tests must prove something its lack is a
 * failure.
 * @throws Error there.
 */
export function skipWithout(device: string, skipTest: (reason: string) => void, reason: string): void {
  if (process.env["CI"] === "true") throw new Error(`Chromium has no ${device}: ${reason}`);
  skipTest(reason);
}
