/** The bench's page in headless Chromium: one click, and a table to paste. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pageFiles } from "../../bench/page/build.ts";
import { findChromium, openChromium } from "./run.ts";
import { serveFiles } from "./serve.ts";

const chromiumPath = findChromium();
const skip = chromiumPath === undefined ? "no chromium: install it or name it by CHROMIUM" : false;
if (skip !== false) console.warn(`BROWSER TESTS SKIPPED: ${skip}`);

describe("the bench's page", { skip }, () => {
  test("measures at a click, and calls no software adapter's times speeds", async (t) => {
    if (chromiumPath === undefined) return;
    const { page, said, close } = await openChromium(chromiumPath, await serveFiles(await pageFiles()), "#tiny");
    try {
      await page.click("#run");
      const progress = page.locator("#progress");
      await progress.filter({ hasText: /Done|FAILED/ }).waitFor({ timeout: 120_000 });
      const text = (await page.locator("#table").textContent()) ?? "";
      const told = `${(await progress.textContent()) ?? ""}\n${text}\n${said.join("\n")}`;
      if (told.includes("has no adapter") && process.env["CI"] !== "true") {
        t.skip("Chromium has no WebGPU here");
        return;
      }
      assert.doesNotMatch(told, /FAILED/);
      for (const work of ["matmul 16", "conv 3x3 1x4x4x4 with gradients", "4-layer conv net 1x4x4x4"]) {
        assert.ok(text.includes(`| ${work}`), told);
        // Measured, or why not: the peers are installed by `npm run bench:page` only.
        for (const engine of ["evenkeel webgpu", "jax-js webgpu", "tfjs webgpu"]) {
          const row = text.split("\n").find((line) => line.startsWith(`| ${work}`) && line.includes(`| ${engine} |`));
          assert.match(row ?? "", engine.startsWith("evenkeel") ? / ms \(/ : / ms \(|not here \|/, told);
        }
      }
      assert.match(text, /^NOT SPEEDS: .*swiftshader/im);
      assert.doesNotMatch(text, /\/s \|/);
    } finally {
      await close();
    }
  });
});
