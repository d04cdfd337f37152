/** The lab in Firefox. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labFiles } from "./buildLab.ts";
import { firefoxSkip, withFirefox } from "./firefox.ts";
import { serveLab } from "./serveLab.ts";
import { hashOf, learningOf, settingsOf, tinyExperiment, trainInNode } from "./tinyExperiment.ts";

/** Resolves once an expression is true in the page, with what it is. */
const until = (expression: string): string =>
  `new Promise((done) => { const look = () => { const found = ${expression}; if (found) done(String(found)); else setTimeout(look, 50); }; look(); })`;

const phase = `document.querySelector(".phase")?.textContent`;

describe("training in Firefox", { skip: firefoxSkip }, () => {
  it("has the losses of Node on wasm, bit for bit", { timeout: 300_000 }, async () => {
    const experiment = tinyExperiment(8, { dynamics: 0 });
    const server = await serveLab(await labFiles());
    try {
      const log = await withFirefox(server.url + hashOf(experiment), async (page) => {
        await page.evaluate(
          `${until(`document.querySelector("button.primary:enabled")`)}.then(() => document.querySelector("button.primary").click())`,
        );
        const ending = await page.evaluate(until(`/^(Finished|Failed)/.test(${phase} ?? "") && ${phase}`));
        assert.equal(ending, "Finished", await page.evaluate("document.body.innerText"));
        assert.equal(await page.evaluate("crossOriginIsolated"), "true");
        // The grid that was drawn is shown.
        await page.evaluate(until(`document.querySelector("img.grid")?.naturalWidth > 0`));
        return page.evaluate(
          `navigator.storage.getDirectory().then((root) => root.getDirectoryHandle("runs")).then((runs) => runs.getDirectoryHandle("emoji16-G"))` +
            `.then((folder) => folder.getFileHandle("stats.jsonl")).then((file) => file.getFile()).then((file) => file.text())`,
        );
      });
      const losses = learningOf(new Map([["stats.jsonl", Buffer.from(log)]]));
      assert.equal(losses.length, 8);
      assert.deepEqual(losses, learningOf(await trainInNode(settingsOf(experiment))));
    } finally {
      await server.close();
    }
  });
});
