/** Runs that go on: after the page was loaded again, and in Node from the page and in the page from Node. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { evenkeelProcess } from "../../cli/train/tinyRun.ts";
import { chromiumPath, skip } from "./chromium.ts";
import { type RunFiles, withLab } from "./openLab.ts";
import { hashOf, learningOf, newestState, settingsOf, tinyExperiment, trainInNode } from "./tinyExperiment.ts";

const run = "emoji16-G";

/** Files of a folder of a disk. */
async function filesOf(folder: string): Promise<RunFiles> {
  const names = await readdir(folder);
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
}

/** Goes on with a run by the command, as its user would. */
async function goOnInNode(files: RunFiles): Promise<RunFiles> {
  const folder = await mkdtemp(join(tmpdir(), "evenkeel-lab-run-"));
  try {
    for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
    const ending = await evenkeelProcess(["train", "--outdir", folder]);
    assert.equal(ending.code, 0, ending.err);
    return await filesOf(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe("a run of the page", { skip }, () => {
  it("goes on by itself when the page is loaded again in the middle, and ends with the bits that it would have had", async () => {
    const experiment = tinyExperiment(120, { samples: 0, dynamics: 10, checkpoint: 16 });
    const files = await withLab(chromiumPath, { hash: hashOf(experiment) }, async (lab) => {
      await lab.start();
      await lab.reachImages(40);
      await lab.page.reload();
      await lab.message(`${run} was training when the page was closed`).waitFor();
      await lab.reach("Finished");
      return lab.files(run);
    });
    const undisturbed = await trainInNode(settingsOf(experiment));
    assert.deepEqual(newestState(files), newestState(undisturbed));
    assert.deepEqual(learningOf(files), learningOf(undisturbed));
  });

  it("goes on with the command, and with what Node began, bit for bit", async () => {
    const experiment = tinyExperiment(200, { samples: 0, dynamics: 0 });
    const { stopped, inPage } = await withLab(chromiumPath, { hash: hashOf(experiment) }, async (lab) => {
      await lab.start();
      await lab.reachImages(16);
      await lab.button("Stop").click();
      await lab.reach("Stopped");
      const halfway = await lab.files(run);
      await lab.button("Go on").click();
      await lab.reach("Finished");
      return { stopped: halfway, inPage: await lab.files(run) };
    });
    const inNode = await goOnInNode(stopped);
    assert.equal(newestState(inNode).name, "training-state-0000001600.safetensors");
    assert.notEqual(newestState(stopped).name, newestState(inNode).name);
    assert.deepEqual(newestState(inNode), newestState(inPage));
    assert.deepEqual(learningOf(inNode), learningOf(inPage));

    const begun = await trainInNode(settingsOf(experiment), { until: 400 });
    assert.equal(newestState(begun).name, "training-state-0000000400.safetensors");
    const ended = await withLab(chromiumPath, {}, async (lab) => {
      await lab.putFiles("from-node", begun);
      await lab.page.reload();
      await lab.reach("Stopped");
      assert.equal(await lab.nimg(), 400);
      await lab.button("Go on").click();
      await lab.reach("Finished");
      return lab.files("from-node");
    });
    assert.deepEqual(newestState(ended), newestState(inPage));
    assert.deepEqual(learningOf(ended), learningOf(inPage));
  });
});
