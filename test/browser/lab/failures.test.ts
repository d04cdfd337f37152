/** What can go wrong in a browser is said in words, and nothing waits for what never comes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labFiles, type LabFiles } from "./buildLab.ts";
import { chromiumPath, skip, skipWithout } from "./chromium.ts";
import { destroyDevice, withFullStorage, withKnownDevice, withoutWebgpu } from "./inPage.ts";
import { type Lab, type LabOptions, withLab } from "./openLab.ts";
import { serveLab } from "./serveLab.ts";
import { hashOf, tinyExperiment } from "./tinyExperiment.ts";

const isWorker = /labWorker-[^/]*\.js$/;
const long = tinyExperiment(10_000, { samples: 0, dynamics: 0, checkpoint: 80 });

/** The lab in a browser whose workers differ from others: their script does this before its own work. */
async function withWorkers<T>(change: () => void, options: LabOptions, use: (lab: Lab) => Promise<T>): Promise<T> {
  const files: LabFiles = new Map(
    [...(await labFiles())].map(([name, bytes]) => [
      name,
      isWorker.test(name) ? Buffer.concat([Buffer.from(`(${String(change)})();\n`), bytes]) : bytes,
    ]),
  );
  const server = await serveLab(files);
  return withLab(chromiumPath, { ...options, server }, use).finally(() => server.close());
}

/** Waits until the chosen run has failed, and says why. */
async function failureOf(lab: Lab): Promise<string> {
  const failed = lab.phase.filter({ hasText: /^Failed/ });
  await failed.waitFor();
  return (await failed.textContent()) ?? "";
}

describe("in the page it is said", { skip }, () => {
  it("that the adapter was lost, and the run goes on from its checkpoint", async (t) => {
    const options = { hasEveryDevice: true, hash: hashOf({ ...long, device: "webgpu" }) };
    await withWorkers(withKnownDevice, options, async (lab) => {
      const choice = lab.page.getByRole("radio", { name: "webgpu" });
      await choice.waitFor();
      if (await choice.isDisabled()) {
        skipWithout("WebGPU", (reason) => t.skip(reason), await lab.shown());
        return;
      }
      await lab.start();
      await lab.reachImages(8);
      for (const worker of lab.page.workers()) await worker.evaluate(destroyDevice);
      assert.match(await failureOf(lab), /lost/);
      await lab.button("Go on").click();
      await lab.reach("Training");
    });
  });

  it("that the browser's storage is full", async () => {
    await withWorkers(withFullStorage, { hash: hashOf(long) }, async (lab) => {
      await lab.start();
      assert.match(await failureOf(lab), /full\. Remove runs, or free some space/);
    });
  });

  it("that this browser has no WebGPU, to who looks for it and to who was sent a link with it", async () => {
    await withWorkers(withoutWebgpu, { hash: hashOf({ ...long, device: "webgpu" }) }, async (lab) => {
      await lab.page.getByText("this browser has no WebGPU").waitFor();
      assert.ok(await lab.page.getByRole("radio", { name: "webgpu" }).isDisabled(), "it can be chosen");
      await lab.start();
      assert.match(await failureOf(lab), /WebGPU/);
    });
  });

  it("that a script of the workers can't be had, when the page is opened and when a run begins", async () => {
    const server = await serveLab(await labFiles());
    try {
      await withLab(chromiumPath, { server, hash: hashOf(long) }, async (lab) => {
        await lab.page.getByText(/parameters;/).waitFor();
        server.lose(isWorker);
        await lab.start();
        assert.match(await failureOf(lab), /^Failed: .{20}/);
        await lab.page.reload();
        await lab.page.locator(".message.error").first().waitFor();
      });
    } finally {
      await server.close();
    }
  });

  it("that the data can't be had", async () => {
    const server = await serveLab(await labFiles());
    server.lose(/\.pack$/);
    try {
      await withLab(chromiumPath, { server }, async (lab) => {
        await lab.page
          .locator(".problem")
          .filter({ hasText: /emoji16 can't be had/ })
          .waitFor();
      });
    } finally {
      await server.close();
    }
  });

  it("that another tab trains the run, which goes on there", async () => {
    // Its checkpoints come and go while the other tab reads what there is.
    await withLab(chromiumPath, { hash: hashOf(long) }, async (lab) => {
      await lab.start();
      await lab.reachImages(8);
      const other = await lab.page.context().newPage();
      await other.goto(lab.server.url);
      await other.getByText(/^In other hands: another tab trains it/).waitFor();
      await other.close();
      const seen = await lab.nimg();
      await lab.reachImages(seen + 8);
      // Loaded again, the first tab still knows that its run goes on.
      await lab.page.reload();
      await lab.message("was training when the page was closed").waitFor();
      await lab.reach("Training");
    });
  });

  it("nothing at all when the host goes away: what has begun goes on to its end", async () => {
    const server = await serveLab(await labFiles());
    try {
      await withLab(chromiumPath, { server, hash: hashOf(tinyExperiment(40)) }, async (lab) => {
        await lab.start();
        await lab.reachImages(8);
        server.lose(/./);
        await lab.button("Pause").click();
        await lab.reach("Paused");
        await lab.button("Resume").click();
        await lab.reach("Finished");
        await lab.page.getByRole("img", { name: /^Samples of .* after 320 images/ }).waitFor();
      });
    } finally {
      await server.close();
    }
  });
});
