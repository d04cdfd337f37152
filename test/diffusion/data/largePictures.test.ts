import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import sharp from "sharp";
import { PixelBudget } from "../../../diffusion/data/node/pixelBudget.ts";
import { convertDataset } from "../../../diffusion/data/node.ts";
import { knowsPeakMemory, peakMemory } from "../../support/peakMemory.ts";

describe("large pictures", { skip: !knowsPeakMemory }, () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "evenkeel-large-"));
  });
  after(() => rm(folder, { recursive: true }));

  const paint = (width: number, height: number, channels: 3 | 4): ReturnType<typeof sharp> =>
    sharp({ create: { width, height, channels, background: { r: 200, g: 100, b: 50, alpha: 0.5 } } });

  it("of 12 megapixels take less than 200 MiB, however many there are", async () => {
    for (const [i, channels] of ([3, 4] as const).entries()) {
      await paint(4000, 3000, channels)
        .png({ compressionLevel: 1 })
        .toFile(join(folder, `${i}.png`));
    }
    for (const transform of ["center-crop", "center-crop-dhariwal"] as const) {
      const options = { source: folder, resolution: 8, transform, greyscale: false, background: "#ffffff" };
      const { result, bytes } = await peakMemory(() => convertDataset(options));
      const seen = [0, 1].map((image) => [...result.pixels.subarray(image * 192, image * 192 + 1)]);
      assert.deepEqual(seen, [[200], [227]], transform);
      // Two at once, of 4 bytes a pixel, and as much again for what decoders and the allocator keep.
      assert.ok(bytes < 2 ** 20 * 200, `${transform}: ${Math.round(bytes / 2 ** 20)} MiB`);
    }
  });
});

describe("PixelBudget", () => {
  it("never lets more work at once than fits, leaves none waiting, and keeps the order", async () => {
    const sizes = fc.array(fc.record({ pixels: fc.integer({ min: 0, max: 15 }), fails: fc.boolean() }), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(sizes, fc.scheduler(), async (works, scheduler) => {
        const budget = new PixelBudget(10);
        const [started, running]: [number[], Set<number>] = [[], new Set()];
        const all = works.map(({ pixels, fails }, i) =>
          budget.spend(pixels, async () => {
            started.push(i);
            running.add(i);
            const taken = [...running].reduce((sum, n) => sum + (works[n]?.pixels ?? 0), 0);
            assert.ok(taken <= 10 || [...running].filter((n) => (works[n]?.pixels ?? 0) > 0).length === 1);
            await scheduler.schedule(Promise.resolve());
            running.delete(i);
            if (fails) throw new Error("told");
            return i;
          }),
        );
        const settled = Promise.allSettled(all);
        await scheduler.waitIdle();
        const results = await settled;
        assert.deepEqual(
          started,
          works.map((_, i) => i),
        );
        assert.deepEqual(
          results.map(({ status }) => status === "rejected"),
          works.map(({ fails }) => fails),
        );
      }),
      { numRuns: 100 },
    );
  });
});
