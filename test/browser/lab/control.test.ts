/** Holding a run: pause, step, resume, stop; and all of it by keyboard. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromiumPath, skip } from "./chromium.ts";
import { type Lab, withLab } from "./openLab.ts";
import { hashOf, learningOf, newestState, tinyExperiment } from "./tinyExperiment.ts";

const run = "emoji16-G";
const long = hashOf(tinyExperiment(10_000, { samples: 0, dynamics: 0, checkpoint: 0 }));

/** Images after which the run's log ends. */
const logged = async (lab: Lab): Promise<unknown> => learningOf(await lab.files(run)).at(-1)?.["nimg"];

/** Goes on by the Tab key until what has the focus fits. */
async function tabTo(lab: Lab, fits: string): Promise<void> {
  for (let press = 0; press < 150; press++) {
    await lab.page.keyboard.press("Tab");
    if ((await lab.page.locator(":focus").and(lab.page.locator(fits)).count()) > 0) return;
  }
  throw new Error(`the Tab key never comes to ${fits}`);
}

describe("a run in the page", { skip }, () => {
  it("is paused, goes on step by step or by itself, and is stopped with a checkpoint", async () => {
    await withLab(chromiumPath, { hash: long }, async (lab) => {
      await lab.start();
      await lab.reachImages(24);
      await lab.button("Pause").click();
      await lab.reach("Paused");
      const held = await lab.nimg();
      assert.equal(await logged(lab), held);
      for (const steps of [1, 2]) {
        await lab.button("Step").click();
        await lab.reachImages(held + 8 * steps);
        await lab.reach("Paused");
        // Nothing went on between the presses, and a press is one batch.
        assert.equal(await lab.nimg(), held + 8 * steps);
        assert.equal(await logged(lab), held + 8 * steps);
      }
      await lab.button("Resume").click();
      await lab.reachImages(held + 48);
      await lab.button("Stop").click();
      await lab.reach("Stopped");
      const stopped = await lab.nimg();
      const files = await lab.files(run);
      assert.equal(newestState(files).name, `training-state-${String(stopped).padStart(10, "0")}.safetensors`);
      assert.equal(learningOf(files).at(-1)?.["nimg"], stopped);
      // A stopped run goes on by one step, too.
      await lab.button("Step").click();
      await lab.reach("Paused");
      await lab.button("Step").click();
      await lab.reachImages(stopped + 8);
      await lab.reach("Paused");
      assert.equal(await lab.nimg(), stopped + 8);
      await lab.button("Stop").click();
      await lab.reach("Stopped");
      assert.equal(await logged(lab), stopped + 8);
    });
  });

  it("is chosen, begun, held and stopped without a mouse, and so are the tabs", async () => {
    await withLab(chromiumPath, { hash: long }, async (lab) => {
      const { keyboard } = lab.page;
      await lab.page.getByText(/parameters;/).waitFor();
      await tabTo(lab, "[role=tab]");
      for (const [key, name] of [
        ["ArrowRight", "Averages"],
        ["ArrowLeft", "Train"],
        ["ArrowLeft", "Files"],
        ["Home", "Train"],
        ["End", "Files"],
        ["Home", "Train"],
      ] as const) {
        await keyboard.press(key);
        await lab.page.getByRole("tab", { name, selected: true }).waitFor();
        assert.equal(await lab.page.locator(":focus").textContent(), name);
      }
      await tabTo(lab, "#option-config");
      await keyboard.press("ArrowUp");
      await tabTo(lab, "#option-seed");
      await keyboard.type("11");
      await tabTo(lab, "button.primary");
      await lab.page.locator("button.primary:enabled").waitFor();
      await keyboard.press("Enter");
      await lab.reachImages(8);
      await tabTo(lab, "button:text-is('Pause')");
      await keyboard.press("Space");
      await lab.reach("Paused");
      const settings = Buffer.from((await lab.files("emoji16-F")).get("settings.toml") ?? []).toString();
      assert.match(settings, /^config = "F"$/m);
      assert.match(settings, /^seed = 11$/m);
      const held = await lab.nimg();
      await tabTo(lab, "button:text-is('Step')");
      await keyboard.press("Enter");
      await lab.reachImages(held + 8);
      await tabTo(lab, "button:text-is('Resume')");
      await keyboard.press("Enter");
      await lab.reachImages(held + 24);
      await tabTo(lab, "button:text-is('Stop')");
      await keyboard.press("Enter");
      await lab.reach("Stopped");
    });
  });
});
