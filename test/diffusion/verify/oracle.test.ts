import { after, describe, it } from "node:test";
import { verifyFolder } from "../../../diffusion/node.ts";
import { disposeDevices, getDevice } from "../../../engine/index.ts";
import { referenceFolder } from "../ema/referenceFiles.ts";
import { assertPassed } from "./editedFixture.ts";

after(disposeDevices);

// In a file of its own, as the interpreter takes most of a minute and files run side by side.
describe("the reference files", () => {
  it("all pass on oracle", async () => {
    assertPassed(await verifyFolder(referenceFolder, await getDevice("oracle")));
  });
});
