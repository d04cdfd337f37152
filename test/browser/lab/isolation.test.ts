/** Hosts that don't send the headers that threads need. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromiumPath, skip } from "./chromium.ts";
import { withoutServiceWorkers } from "./inPage.ts";
import { type Lab, type LabOptions, withLab } from "./openLab.ts";
import { storedRun } from "./storedRun.ts";
import { hashOf, learningOf, settingsOf, tinyExperiment, trainInNode } from "./tinyExperiment.ts";

const experiment = tinyExperiment(4, { samples: 0, dynamics: 0 });
const hash = hashOf(experiment);

/** Trains, and expects Node's bits: they don't depend on threads. */
async function expectTraining(lab: Lab): Promise<void> {
  await lab.start();
  await lab.reach("Finished");
  const losses = learningOf(await storedRun(lab, "emoji16-G"));
  assert.deepEqual(losses, learningOf(await trainInNode(settingsOf(experiment))));
}

describe("a host without the headers of isolation", { skip }, () => {
  it("is helped by a service worker: the page is loaded once more, is isolated then, and says so", async () => {
    await withLab(chromiumPath, { hash, isIsolated: false }, async (lab) => {
      await lab.message("a service worker adds them, and the page was loaded twice for it").waitFor();
      assert.equal(await lab.page.evaluate(() => crossOriginIsolated), true);
      assert.equal(lab.server.asked.filter((address) => address === "").length, 2);
      await expectTraining(lab);
    });
  });

  it("is done with on one thread where there are no service workers, and that is said", async () => {
    const options: LabOptions = {
      hash,
      isIsolated: false,
      before: (context) => context.addInitScript(withoutServiceWorkers),
    };
    await withLab(chromiumPath, options, async (lab) => {
      await lab.message("WebAssembly computes on one thread here").waitFor();
      assert.equal(await lab.page.evaluate(() => crossOriginIsolated), false);
      assert.equal(lab.server.asked.filter((address) => address === "").length, 1);
      await expectTraining(lab);
    });
  });
});
