import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { verifyFolder } from "../../../diffusion/verify/node.ts";
import { disposeDevices, getDevice } from "../../../engine/index.ts";
import { referenceFolder } from "../ema/referenceFiles.ts";
import { assertPassed, newFolder } from "./editedFixture.ts";

after(disposeDevices);

/** Half of the interpreter's time. Of training it has the other file, and wasm has both. */
const longest = "edm2_training.safetensors";

// In a file of its own, as the interpreter takes long and files run side by side.
describe("the reference files", () => {
  it("all pass on oracle, but for the longest, which is left to wasm", async () => {
    const folder = newFolder();
    cpSync(referenceFolder, folder, { recursive: true, filter: (source) => path.basename(source) !== longest });
    const report = await verifyFolder(folder, await getDevice("oracle"));
    rmSync(folder, { recursive: true });
    assertPassed(report);
  });
});
