/** Experiments beside each other, and as links. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromiumPath, skip } from "./chromium.ts";
import { type Lab, withLab } from "./openLab.ts";
import { storedRun } from "./storedRun.ts";
import { reachPixels } from "./seen.ts";
import { hashOf, learningOf, tinyExperiment } from "./tinyExperiment.ts";

const short = tinyExperiment(8, { samples: 0, dynamics: 0 });

describe("experiments in the page", { skip }, () => {
  it("train at once, and are curves of one chart, each called by what it differs in", async () => {
    const hash = hashOf(tinyExperiment(200, { samples: 0, dynamics: 0 }));
    await withLab(chromiumPath, { hash }, async (lab) => {
      await lab.start();
      await lab.reachImages(8);
      await lab.page.getByLabel("Configuration").selectOption("A");
      await lab.start();
      await lab.reachImages(16);
      await lab.button("Pause").click();
      await lab.reach("Paused");
      const list = lab.page.getByRole("list", { name: "Runs" });
      const titles = await list.locator("b").allTextContents();
      assert.deepEqual(titles, ["config G", "config A"]);
      // The first went on meanwhile, in a worker of its own.
      await list
        .getByRole("button", { name: /config G/ })
        .first()
        .click();
      await lab.reach(/^(Training|Finished)/);
      // What it was made of can be chosen again, and nothing else is.
      await lab.button("Choose its settings again").click();
      await lab.page.waitForFunction("document.querySelector('[name=config]').value === 'G'");
      assert.equal(await lab.page.getByLabel("Width").inputValue(), "8");
      assert.equal(await lab.page.getByLabel("Batch").inputValue(), "8");
      assert.equal(await lab.page.getByLabel("Learning rate").inputValue(), "");
      const told = /^Weighted denoising error.*config G: [\d.]+; config A: [\d.]+$/;
      await lab.page.getByRole("img", { name: told }).waitFor();
      for (const hue of ["blue", "orange"] as const) await reachPixels(lab, "Learning curves", hue, true);
      await lab.page.getByRole("checkbox", { name: "config G in the charts" }).uncheck();
      await reachPixels(lab, "Learning curves", "blue", false);
      await reachPixels(lab, "Learning curves", "orange", true);
      // Read again, runs are in another order, and have the colours that they had.
      const colors = async (): Promise<ReadonlyMap<string, string | null>> => {
        const items = await list.getByRole("listitem").all();
        return new Map(
          await Promise.all(
            items.map(async (item) => {
              const title = (await item.locator("b").textContent()) ?? "";
              return [title, await item.locator("label").getAttribute("style")] as const;
            }),
          ),
        );
      };
      const before = await colors();
      assert.equal(new Set(before.values()).size, 2);
      await lab.page.reload();
      await list.getByText("config A").first().waitFor();
      const after = await colors();
      assert.deepEqual([...after.keys()], ["config A", "config G"]);
      assert.deepEqual(new Map([...after].reverse()), before);
    });
  });

  it("are links: a page that opens one has the same settings and losses, bit for bit", async () => {
    const lossesOf = async (lab: Lab) => {
      await lab.start();
      await lab.reach("Finished");
      return learningOf(await storedRun(lab, "emoji16-G"));
    };
    const { link, losses } = await withLab(
      chromiumPath,
      { hash: hashOf(short), permissions: ["clipboard-read", "clipboard-write"] },
      async (lab) => {
        await lab.page.getByLabel("Learning rate").fill("0.005");
        await lab.page.getByText("Noise", { exact: true }).click();
        await lab.page.getByLabel("Mean of ln sigma").fill("-0.75");
        await lab.button("Copy a link to this experiment").click();
        await lab.message("The link is copied").waitFor();
        const copied = await lab.page.evaluate(() => navigator.clipboard.readText());
        assert.equal(copied, lab.page.url());
        return { link: new URL(copied).hash, losses: await lossesOf(lab) };
      },
    );
    assert.equal(losses.length, 8);
    await withLab(chromiumPath, { hash: link }, async (lab) => {
      await lab.message("This link holds an experiment").waitFor();
      assert.equal(await lab.page.getByLabel("Learning rate").inputValue(), "0.005");
      assert.equal(await lab.page.getByLabel("Width").inputValue(), "8");
      await lab.page.getByText("Noise", { exact: true }).click();
      assert.equal(await lab.page.getByLabel("Mean of ln sigma").inputValue(), "-0.75");
      assert.deepEqual(await lossesOf(lab), losses);
    });
  });

  it("that can't be are told, by what is wrong in the link", async () => {
    await withLab(chromiumPath, {}, async (lab) => {
      for (const [hash, told] of [
        ["#nonsense=1", /nonsense/],
        ["#batch=many", /batch/],
        ["#config=Z", /config.*Z/],
        ["#channels=-8", /channels/],
        ["#preset=emoji16&data=nowhere", /nowhere/],
        ["#%%%=%E0%A4%A", /%/],
        ["#preset=", /preset/],
      ] as const) {
        await lab.page.goto("about:blank");
        await lab.page.goto(lab.server.url + hash);
        await lab.page.locator(".problem, .message.error").filter({ hasText: told }).waitFor();
        assert.ok(await lab.page.locator("button.primary").isDisabled(), `Start can be pressed for ${hash}`);
      }
    });
  });
});
