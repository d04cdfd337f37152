import { findChromium } from "../run.ts";

const found = findChromium();

/** Why tests of the lab can't be run here, or false. */
export const skip = found === undefined ? "no chromium: install it or name it by CHROMIUM" : false;

/** Of no use where tests are skipped. */
export const chromiumPath = found ?? "";
