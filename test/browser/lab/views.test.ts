/** What is seen of a trained network: its averages, its samples, the programs of its step; and that everybody can see it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import axe from "axe-core";
import type { Locator } from "playwright-core";
import { chromiumPath, skip } from "./chromium.ts";
import { openLab } from "./openLab.ts";
import { hashOf, tinyExperiment } from "./tinyExperiment.ts";

/** A canvas's picture. */
const pictureOf = (canvas: Locator): Promise<string> =>
  canvas.evaluate((element: HTMLCanvasElement) => element.toDataURL());

/** A square of a canvas, from its left end or its right. */
const squareOf = (canvas: Locator, end: "left" | "right"): Promise<string> =>
  canvas.evaluate((element: HTMLCanvasElement, where) => {
    const { width, height } = element;
    const data = element.getContext("2d")?.getImageData(where === "left" ? 0 : width - height, 0, height, height).data;
    return String(data);
  }, end);

describe("the views of a trained network", { skip }, async () => {
  if (skip !== false) return;
  const experiment = tinyExperiment(150, { status: 80, samples: 600, dynamics: 25 });
  const { lab, close } = await openLab(chromiumPath, { hash: hashOf(experiment) });
  const screens = await mkdtemp(join(tmpdir(), "evenkeel-lab-screens-"));
  after(async () => {
    await close();
    await rm(screens, { recursive: true });
  });
  const { page } = lab;
  const told = (task: () => Promise<void>) => (): Promise<void> => lab.telling(task);

  it(
    "are there once it is trained",
    told(async () => {
      await lab.start();
      await lab.reach("Finished");
    }),
  );

  it(
    "make averages of any length: the slider changes the samples, and the same length gives the same ones",
    told(async () => {
      await lab.tab("Averages");
      const samples = (sigmaRel: string): Locator =>
        page.getByRole("img", { name: new RegExp(`samples of the average of sigma_rel ${sigmaRel} `) });
      await samples("0.1").waitFor();
      const slider = page.getByRole("slider", { name: "Length (sigma_rel)" });
      const length = async (): Promise<string> => (await slider.getAttribute("aria-valuetext")) ?? "";
      const move = async (place: number): Promise<string> => {
        const before = await length();
        await slider.fill(String(place));
        while ((await length()) === before) await page.waitForTimeout(20);
        const moved = samples(/[\d.]+/.exec(await length())?.[0] ?? "none");
        await moved.waitFor();
        return pictureOf(moved);
      };
      const [long, short] = [await move(180), await move(60)];
      assert.notEqual(long, short, "another length has the same samples");
      assert.equal(await move(180), long);
      assert.equal(await move(60), short);
    }),
  );

  it(
    "sample two networks beside each other on the same noise, step by step",
    told(async () => {
      await lab.tab("Sample");
      const steps = 5;
      await page.getByLabel("Compare with", { exact: true }).selectOption({ label: "emoji16-G: newest raw weights" });
      await page.getByText("Steps", { exact: true }).first().click();
      await page.getByLabel("Steps", { exact: true }).fill(String(steps));
      await page.getByLabel("Images", { exact: true }).fill("4");
      await page.keyboard.press("Tab");
      await lab.button("Sample").click();
      const strip = page.getByRole("region", { name: "Film strip by steps" });
      await strip.waitFor();
      const columns = (await strip.locator("thead th").count()) - 1;
      assert.ok(columns > steps, `${columns} columns for ${steps} steps`);
      await lab.button("Noisy state").click();
      assert.equal(await strip.locator("tbody").count(), 4);
      for (const row of await strip.locator("tbody").all()) {
        const [one, other] = [row.locator("canvas").first(), row.locator("canvas").last()];
        assert.equal(await squareOf(one, "left"), await squareOf(other, "left"), "the noise isn't the same");
        assert.notEqual(await squareOf(one, "right"), await squareOf(other, "right"), "both networks are one");
      }
      // Each image has noise of its own.
      const first = strip.locator("tbody").first().locator("canvas").first();
      const last = strip.locator("tbody").last().locator("canvas").first();
      assert.notEqual(await squareOf(first, "left"), await squareOf(last, "left"));
    }),
  );

  it(
    "explain the training step: its kernels, of which a search shows some, and one's source",
    told(async () => {
      await lab.tab("Engine");
      await lab.button("Explain").click();
      const kernels = page.getByRole("region", { name: "Kernels", exact: true });
      await kernels.waitFor();
      const rows = kernels.locator("tbody tr");
      const all = await rows.count();
      assert.ok(all > 50, `${all} kernels`);
      const search = kernels.getByRole("searchbox", { name: "Search kernels" });
      await search.fill("conv");
      await kernels.getByText(/^[\d,]+ of [\d,]+ kernels/).waitFor();
      const some = await rows.count();
      assert.ok(some > 0 && some < all, `${some} of ${all} kernels`);
      await search.fill("no kernel has this");
      await kernels.getByText(/^0 of [\d,]+ kernels/).waitFor();
      assert.equal(await rows.count(), 0);
      await search.fill("");
      await rows.first().getByRole("button").click();
      const chosen = page.getByRole("region", { name: "Chosen kernel" });
      await chosen.waitFor();
      await chosen.locator("pre, [role=region], ol, code").first().waitFor();
      assert.ok(((await chosen.innerText()).match(/\n/g) ?? []).length > 5, await chosen.innerText());
    }),
  );

  it(
    "have no barriers that axe finds, in light and in dark, and no width of a screen is too narrow for them",
    told(async () => {
      await page.evaluate(axe.source);
      const found: string[] = [];
      for (const name of ["Train", "Averages", "Sample", "Engine", "Files"]) {
        await lab.tab(name);
        await page.getByText("Loading this view…").waitFor({ state: "detached" });
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          for (const width of [360, 768, 1280]) {
            await page.setViewportSize({ width, height: 900 });
            const wide = await page.evaluate(() => document.documentElement.scrollWidth);
            if (wide > width) found.push(`${name}: ${wide} pixels wide on a screen of ${width}`);
            await page.screenshot({ path: join(screens, `${name}-${width}-${colorScheme}.png`), fullPage: true });
          }
          const violations = await page.evaluate(async () => {
            const { axe: own } = window as unknown as { readonly axe: typeof axe };
            const { violations: list } = await own.run(document, { resultTypes: ["violations"] });
            return list.map(
              ({ id, help, nodes }) => `${id} (${help}): ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`,
            );
          });
          found.push(...violations.map((text) => `${name} in ${colorScheme}: ${text}`));
        }
      }
      assert.deepEqual(found, []);
    }),
  );
});
