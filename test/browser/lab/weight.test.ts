/** What the page weighs: what it loads until it trains on wasm. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labFiles } from "./buildLab.ts";
import { chromiumPath, skip } from "./chromium.ts";
import { withLab } from "./openLab.ts";
import { hashOf, tinyExperiment } from "./tinyExperiment.ts";
import { sumOf, weightOf } from "./weight.ts";

/** Bytes, compressed as hosts do it. */
const most = { program: 300_000, data: 1_500_000 };

describe("the page's weight", { skip }, () => {
  it("is within its limits until it trains on wasm, and gpu.js is no part of it", async (t) => {
    const files = await labFiles();
    const experiment = tinyExperiment(2, { samples: 0, dynamics: 0 });
    const asked = await withLab(chromiumPath, { hash: hashOf(experiment) }, async (lab) => {
      await lab.start();
      await lab.reach("Finished");
      return [...lab.server.asked];
    });
    const { program, data } = weightOf(files, asked);
    for (const [address, bytes] of [...program, ...data]) t.diagnostic(`${bytes} ${address}`);
    t.diagnostic(`${sumOf(program)} in all, without the data`);
    for (const name of [/^index\.html$/, /index-.*\.js$/, /index-.*\.css$/, /labWorker-.*\.js$/, /training-.*\.js$/]) {
      assert.ok(
        program.some(([address]) => name.test(address)),
        `${String(name)} isn't among what is counted`,
      );
    }
    assert.ok(sumOf(program) <= most.program, `${sumOf(program)} bytes`);
    const graphics = program.filter(([address]) => /gpu-browser|webgpuDevice|webgl2Device/.test(address));
    assert.deepEqual(graphics, []);
    assert.equal(data.length, 1, data.join(" "));
    assert.ok(sumOf(data) <= most.data, `${sumOf(data)} bytes of data`);
  });
});
