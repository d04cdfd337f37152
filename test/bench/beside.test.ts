/** `npm run bench -- --device webgpu`: the same work on both devices, and no speeds of software adapters. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { measureBeside, workJob } from "../../bench/beside.ts";
import { probeWebgpu } from "../../engine/devices/gpujs/webgpuDevice.ts";
import { webgpuSkip } from "../support/webgpuSkip.ts";

describe("webgpu beside wasm", { skip: webgpuSkip }, () => {
  it("measures both, and makes no rate of what the CPU does for a GPU", async () => {
    const jobs = [workJob({ kind: "matmul", size: 16 }), workJob({ kind: "reduce", rows: 8, columns: 32, axis: 1 })];
    const said: string[] = [];
    const table = await measureBeside(jobs, 1, { repeats: 2, sampleSeconds: 0 }, (text) => said.push(text));
    const rows = table.split("\n").filter((line) => /^\| (matmul 16|row sums 8x32) \|/.test(line));
    assert.equal(rows.length, 4, table);
    const { software } = await probeWebgpu();
    for (const row of rows) {
      const [, , , time = "", rate = "", ratio = "", remark = ""] = row.split("|").map((cell) => cell.trim());
      assert.match(time, / ms \(/);
      assert.deepEqual([rate === "", ratio === "", remark === "no speed"], [software, software, software], row);
    }
    assert.equal(said.some((text) => text.startsWith("NOT SPEEDS")) && table.includes("NOT SPEEDS"), software);
  });

  it("tells of a row that fails, and measures the others", async () => {
    const failing = { name: "impossible", run: () => Promise.reject(new Error("too large")) };
    const jobs = [failing, workJob({ kind: "matmul", size: 8 })];
    const table = await measureBeside(jobs, 1, { repeats: 1, sampleSeconds: 0 }, () => undefined);
    assert.match(table, /^\| matmul 8 \|/m);
    assert.match(table, /impossible FAILED: too large/);
  });
});
