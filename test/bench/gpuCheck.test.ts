/** The folder that checks a GPU: prepared, and run as on a bare box, on whatever adapter is here. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { Report } from "../../bench/gpuCheck/report.ts";
import { longerBy } from "../../bench/markdown.ts";
import { webgpuSkip } from "../support/webgpuSkip.ts";

const scratch = mkdtempSync(path.join(tmpdir(), "evenkeel-gpu-check-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

type Written = {
  readonly parts: Readonly<
    Record<string, { readonly outcome: string; readonly data: Readonly<Record<string, unknown>> }>
  >;
};

const written = (folder: string): Written =>
  JSON.parse(readFileSync(path.join(folder, "gpuCheck.json"), "utf8")) as Written;

describe("a check's report", () => {
  it("tells of a part that fails, and goes on", async () => {
    const folder = path.join(scratch, "report");
    const report = new Report(folder, "A check", 60, () => undefined);
    await report.part("first", 0, () => Promise.reject(new Error("no card")));
    await report.part("second", 1000, async () => ({ data: 1, text: "never" }));
    await report.part("third", 0, async () => ({ data: { seen: 3 }, text: "three" }));
    await report.part("fourth", 0, async () => ({ data: null, text: "2 + 2 = 5", isWrong: true }));
    assert.deepEqual(report.outcomes, ["failed", "left out", "done", "wrong"]);
    assert.deepEqual(written(folder).parts["third"]?.data, { seen: 3 });
    const text = readFileSync(path.join(folder, "gpuCheck.md"), "utf8");
    assert.match(text, /no card[\s\S]*Left out: [\s\S]*three[\s\S]*2 \+ 2 = 5/);
  });

  it("gives a part up when no time is left", async () => {
    const report = new Report(path.join(scratch, "late"), "A check", 0.05, () => undefined);
    await report.part("endless", 0, () => new Promise(() => undefined));
    assert.deepEqual(report.outcomes, ["failed"]);
  });
});

describe("differences of times", () => {
  it("are told where there are some, and never below zero", () => {
    assert.equal(longerBy(0.25), "0.250 ms");
    assert.equal(longerBy(1.5, ", 3 us a dispatch"), "1.50 ms, 3 us a dispatch");
    for (const noise of [0, -0.4]) assert.equal(longerBy(noise, ", -3 us a dispatch"), "below what can be measured");
    assert.equal(longerBy(NaN), "NaN ms");
  });
});

describe("the prepared folder", { skip: webgpuSkip || process.platform !== "linux" }, () => {
  it("runs by itself, and finds everything right", async () => {
    const [folder, out] = [path.join(scratch, "prepared"), path.join(scratch, "results")];
    const run = promisify(execFile);
    await run(process.execPath, ["scripts/gpuCheck.js", folder]);
    const { stdout } = await run("sh", [path.join(folder, "run.sh"), "--quick", "--out", out], { cwd: scratch });
    const { parts } = written(out);
    const outcomes = Object.entries(parts).map(([name, { outcome }]) => `${name}: ${outcome}`);
    assert.ok(outcomes.length >= 7, outcomes.join("\n"));
    assert.deepEqual(
      outcomes.filter((one) => !one.endsWith(": done")),
      [],
      stdout,
    );
    const { rows, counts } = parts["step (small)"]?.data as {
      readonly rows: readonly { readonly steps: number; readonly milliseconds: number; readonly schedule: string }[];
      readonly counts: { readonly dispatches: number };
    };
    assert.equal(
      rows.reduce((sum, { steps }) => sum + steps, 0),
      counts.dispatches,
    );
    assert.doesNotMatch(stdout, /\| -[\d.]+ ms/, "a time below zero");
    assert.ok(rows.every(({ milliseconds, schedule }) => milliseconds > 0 && schedule !== ""));
  });
});
