/** Runs that go on when the page was loaded again. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromiumPath, skip } from "./chromium.ts";
import { withLab } from "./openLab.ts";
import { storedRun } from "./storedRun.ts";
import { hashOf, learningOf, newestState, settingsOf, tinyExperiment, trainInNode } from "./tinyExperiment.ts";

const run = "emoji16-G";

describe("a run of the page", { skip }, () => {
  it("goes on by itself when the page is loaded again in the middle, and ends with the bits that it would have had", async () => {
    const experiment = tinyExperiment(40, { samples: 0, dynamics: 10, checkpoint: 16 });
    const files = await withLab(chromiumPath, { hash: hashOf(experiment) }, async (lab) => {
      await lab.start();
      await lab.reachImages(24);
      await lab.page.reload();
      await lab.message(`${run} was training when the page was closed`).waitFor();
      await lab.reach("Finished");
      return storedRun(lab, run);
    });
    const undisturbed = await trainInNode(settingsOf(experiment));
    assert.deepEqual(newestState(files), newestState(undisturbed));
    assert.deepEqual(learningOf(files), learningOf(undisturbed));
  });
});
