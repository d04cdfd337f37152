import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { type VerifyReport, verifyFolder } from "../../../diffusion/node.ts";
import { type DeviceName, disposeDevices, getDevice } from "../../../engine/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { referenceFolder } from "../ema/referenceFiles.ts";
import { newFolder } from "./editedFixture.ts";

after(disposeDevices);

async function verify(folder: string, device: DeviceName): Promise<VerifyReport> {
  return verifyFolder(folder, await getDevice(device));
}

function assertPassed(report: VerifyReport): void {
  const failures = report.files.flatMap(({ file, failures }) => failures.map((failure) => `${file}: ${failure}`));
  assert.deepEqual(failures, []);
  assert.equal(report.failed, 0);
  assert.ok(report.passed > 0);
  for (const { file, status, tensors } of report.files) {
    assert.ok(status === "later" ? file.startsWith("edm_baseline_") : tensors > 0, file);
  }
}

describe("the reference files", () => {
  for (const device of ["wasm", "oracle"] as const) {
    it(`all pass on ${device}`, async () => assertPassed(await verify(referenceFolder, device)));
  }

  it("primitives and blocks pass on webgpu", { skip: webgpuSkip }, async () => {
    const folder = newFolder();
    const names = ["edm2_primitives.safetensors", "edm2_blocks.safetensors"];
    for (const name of names) cpSync(path.join(referenceFolder, name), path.join(folder, name));
    const report = await verify(folder, "webgpu");
    rmSync(folder, { recursive: true });
    assertPassed(report);
    assert.equal(report.passed, names.length);
  });
});
