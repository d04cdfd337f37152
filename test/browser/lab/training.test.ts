/** Training in the page on wasm: Node's bits, and what is seen of it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromiumPath, skip } from "./chromium.ts";
import { withLab } from "./openLab.ts";
import { storedRun } from "./storedRun.ts";
import { countColours, reachPixels, samplesAfter } from "./seen.ts";
import { hashOf, learningOf, newestState, textOf, tinyExperiment, trainInNode } from "./tinyExperiment.ts";

const run = "emoji16-G";
const steps = 24;

describe("training in the page, on wasm", { skip }, () => {
  it("has the losses, the log and the checkpoint of Node, bit for bit, and shows how it learns", async () => {
    const files = await withLab(chromiumPath, { hash: hashOf(tinyExperiment(steps)) }, async (lab) => {
      await lab.start();
      await lab.page.getByRole("img", { name: /^Samples of/ }).waitFor();
      await lab.reach("Finished");
      const last = await samplesAfter(lab, 8 * steps);
      await lab.page.getByRole("slider", { name: "Back in time" }).fill("0");
      assert.notDeepEqual(await samplesAfter(lab, 4 * steps), last, "the samples don't change");
      const numbers = await lab.page.locator(".numbers").innerText();
      assert.match(numbers, /192 of 192 images/);
      assert.match(numbers, /error \d\.\d/);
      for (const panel of ["Learning curves", "Error by noise level"]) {
        await reachPixels(lab, panel, "blue", true);
      }
      assert.ok((await countColours(lab, "Inside the network")) > 10, "the heat map has no colours");
      return storedRun(lab, run);
    });
    const inNode = await trainInNode(files, { isNew: true });
    assert.equal(learningOf(files).length, steps);
    assert.deepEqual(learningOf(files), learningOf(inNode));
    assert.deepEqual(newestState(files), newestState(inNode));
    assert.equal(textOf(files, "dynamics.jsonl"), textOf(inNode, "dynamics.jsonl"));
  });
});
