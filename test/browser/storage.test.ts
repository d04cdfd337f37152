/** Runs whose files a browser keeps for its page, in headless Chromium. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { createDevice } from "../../engine/index.ts";
import { cases } from "./cases.ts";
import { findChromium, openPage } from "./run.ts";

const chromiumPath = findChromium();
const skip = chromiumPath === undefined ? "no chromium: install it or name it by CHROMIUM" : false;

describe("what a browser keeps for a page", { skip }, async () => {
  if (chromiumPath === undefined) return;
  const page = await openPage(chromiumPath);
  after(() => page.close());

  it("is as it was written, whole or as it was before", async () => {
    const report = await page.runCases("folders", "wasm", 7, 40);
    assert.ok(report.kind === "ran", "the page has no wasm");
    assert.deepEqual(report.failures, []);
  });

  it("is a run that stops, goes on and ends with the bytes that Node's has", async () => {
    const report = await page.runCases("storedRun", "wasm", 7, 6);
    assert.ok(report.kind === "ran", "the page has no wasm");
    assert.deepEqual(report.failures, []);
    const device = await createDevice("wasm");
    const inNode = await cases.storedRun(device, 7, 6).finally(() => device.dispose());
    assert.deepEqual(report.names, inNode.names);
    assert.ok(report.names?.includes("training-state-0000000048.safetensors"), report.names?.join());
    assert.deepEqual(report.numbers, inNode.numbers);
  });
});
