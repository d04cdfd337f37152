/** What the page weighs: what it loads until it trains on wasm. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { labFiles } from "./buildLab.ts";
import { chromiumPath, skip } from "./chromium.ts";
import { withLab } from "./openLab.ts";
import { hashOf, tinyExperiment } from "./tinyExperiment.ts";

/** Bytes, compressed as hosts do it. */
const most = { program: 300_000, data: 1_500_000 };

const isData = (address: string): boolean => !/\.(html|js|css|svg|wasm)$/.test(address);

describe("the page's weight", { skip }, () => {
  it("is within its limits until it trains on wasm, and gpu.js is no part of it", async (t) => {
    const files = await labFiles();
    const experiment = tinyExperiment(2, { samples: 0, dynamics: 0 });
    const loaded = await withLab(chromiumPath, { hash: hashOf(experiment) }, async (lab) => {
      await lab.start();
      await lab.reach("Finished");
      return [...new Set(lab.server.asked.map((address) => (address === "" ? "index.html" : address)))].sort();
    });
    const sizeOf = (address: string): number => gzipSync(files.get(address) ?? new Uint8Array()).length;
    const program = loaded.filter((address) => files.has(address) && !isData(address));
    for (const address of program) t.diagnostic(`${sizeOf(address)} ${address}`);
    const sum = program.reduce((before, address) => before + sizeOf(address), 0);
    t.diagnostic(`${sum} in all`);
    assert.ok(program.some((address) => address.includes("labWorker")) && program.length > 5, program.join(" "));
    assert.ok(sum <= most.program, `${sum} bytes`);
    assert.deepEqual(
      program.filter((address) => /gpu-browser|webgpuDevice|webgl2Device/.test(address)),
      [],
    );
    const data = loaded.filter((address) => files.has(address) && isData(address));
    assert.equal(data.length, 1, data.join(" "));
    const bytes = files.get(data[0] ?? "")?.length ?? Infinity;
    t.diagnostic(`${bytes} ${data[0] ?? ""}`);
    assert.ok(bytes <= most.data, `${bytes} bytes of data`);
  });
});
