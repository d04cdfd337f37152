/** The devices of a page, in headless Chromium. */
import assert from "node:assert/strict";
import { after, describe, test, type TestContext } from "node:test";
import type { DeviceName } from "../../engine/devices/device.ts";
import type { CaseName } from "./cases.ts";
import { findChromium, openPage } from "./run.ts";

const chromiumPath = findChromium();
const skip = chromiumPath === undefined ? "no chromium: install it or name it by CHROMIUM" : false;
if (skip !== false) console.warn(`BROWSER TESTS SKIPPED: ${skip}`);

describe("devices in Chromium", { skip }, async () => {
  if (chromiumPath === undefined) return;
  const page = await openPage(chromiumPath);
  after(() => page.close());

  const expectPass = async (t: TestContext, name: CaseName, device: DeviceName, count: number): Promise<void> => {
    const report = await page.runCases(name, device, 20_231_104, count);
    if (report.kind === "unavailable") {
      // Headless Chromium has every device by software: where tests must prove something, its lack is a failure.
      if (process.env["CI"] === "true") assert.fail(report.reason);
      console.warn(`BROWSER TEST SKIPPED: ${device}: ${report.reason}`);
      t.skip(report.reason);
      return;
    }
    const { ran, failures, description } = report;
    assert.deepEqual(failures, [], `${failures.length} of ${ran} on ${description}`);
    assert.ok(ran > 0, `${name} ran nothing`);
  };

  const devices: readonly DeviceName[] = ["webgpu", "webgl2", "wasm", "cpu"];
  for (const device of devices) {
    test(`${device}: gradient descent with resident weights`, (t) => expectPass(t, "gradientDescent", device, 20));
    test(`${device}: random bits`, (t) => expectPass(t, "randomBits", device, 1));
    test(`${device}: what is refused`, (t) => expectPass(t, "refusals", device, 1));
    // By software this takes webgl2 a minute, whose steps the lab's tests take.
    if (device !== "webgl2") {
      test(`${device}: what a training step is made of`, (t) => expectPass(t, "explanation", device, 1));
    }
    // Elsewhere Node has the same code.
    if (device === "webgl2") {
      test(`${device}: whole quotients, rests, powers and shifts`, (t) => expectPass(t, "wholeDivision", device, 500));
    }
    const programs = device === "webgpu" ? 100 : 40;
    test(`${device}: ${programs} random programs`, (t) => expectPass(t, "randomPrograms", device, programs));
  }
});
