/** Training in the page on the browser's graphics: wasm's losses, as near as rounding lets them be. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromiumPath, skip, skipWithout } from "./chromium.ts";
import { withLab } from "./openLab.ts";
import { storedRun } from "./storedRun.ts";
import { hashOf, meansOf, settingsOf, tinyExperiment, trainInNode } from "./tinyExperiment.ts";

const steps = 4;

/** As `test/browser/training.test.ts` derives it: a step adds half of 6e-5 at most. */
const bound = (steps * 6e-5) / 2;

const experiment = tinyExperiment(steps, { samples: 0, dynamics: 0, holdout: 0 });

describe("training in the page, on graphics", { skip }, () => {
  for (const device of ["webgpu", "webgl2"] as const) {
    it(`has the losses of wasm on ${device}`, async (t) => {
      const chosen = { ...experiment, device };
      const files = await withLab(chromiumPath, { hasEveryDevice: true, hash: hashOf(chosen) }, async (lab) => {
        const choice = lab.page.getByRole("radio", { name: device });
        await choice.waitFor();
        if (await choice.isDisabled()) {
          const why = await lab.page.getByRole("group", { name: "Device" }).innerText();
          skipWithout(device, (reason) => t.skip(reason), why);
          return null;
        }
        assert.ok(await choice.isChecked(), "the link's device isn't chosen");
        await lab.start();
        await lab.reach("Finished");
        assert.match(await lab.shown(), new RegExp(`${device}: `));
        return storedRun(lab, "emoji16-G");
      });
      if (files === null) return;
      const wasm = meansOf(await trainInNode(settingsOf(experiment)), "Loss/error");
      const errors = meansOf(files, "Loss/error");
      assert.equal(errors.length, steps);
      const distance = Math.max(...wasm.map((error, i) => Math.abs(error - (errors[i] ?? NaN)) / error));
      assert.ok(distance < bound, `${distance} apart`);
    });
  }
});
