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

/** Every primitive, every kind of block, and a network, with gradients. Nearly all of the time goes into making the kernels, once. */
const onWebgpu = [
  "edm2_primitives.safetensors",
  "edm2_blocks.safetensors",
  "edm2_blocks_no_head.safetensors",
  "edm2_unet_uncond.safetensors",
];

describe("the reference files", () => {
  it("all pass on wasm", async () => {
    assertPassed(await verifyFolder(referenceFolder, await getDevice("wasm")));
  });

  it("primitives, blocks and a network with gradients pass on webgpu, twice with the same numbers", {
    skip: webgpuSkip,
  }, async () => {
    const folder = newFolder();
    for (const name of onWebgpu) cpSync(path.join(referenceFolder, name), path.join(folder, name));
    const device = await getDevice("webgpu");
    const reports = [await verifyFolder(folder, device), await verifyFolder(folder, device)];
    rmSync(folder, { recursive: true });
    const [deviations, again] = reports.map((report) => {
      assertPassed(report);
      assert.equal(report.passed, onWebgpu.length);
      return report.files.map(({ tensors, worst }) => ({ tensors, worst }));
    });
    assert.deepEqual(again, deviations);
  });
});
