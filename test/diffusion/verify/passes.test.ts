import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { verifyFolder } from "../../../diffusion/verify/node.ts";
import { disposeDevices, getDevice } from "../../../engine/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { referenceFolder } from "../ema/referenceFiles.ts";
import { assertPassed, newFolder } from "./editedFixture.ts";

after(disposeDevices);

describe("the reference files", () => {
  it("all pass on wasm", async () => {
    assertPassed(await verifyFolder(referenceFolder, await getDevice("wasm")));
  });

  it("primitives and blocks pass on webgpu", { skip: webgpuSkip }, async () => {
    const folder = newFolder();
    const names = ["edm2_primitives.safetensors", "edm2_blocks.safetensors"];
    for (const name of names) cpSync(path.join(referenceFolder, name), path.join(folder, name));
    const report = await verifyFolder(folder, await getDevice("webgpu"));
    rmSync(folder, { recursive: true });
    assertPassed(report);
    assert.equal(report.passed, names.length);
  });
});
