import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it, type TestContext } from "node:test";
import { Command } from "@commander-js/extra-typings";
import { addVerifyCommand } from "../../cli/commands/verify.ts";
import type { VerifyReport } from "../../diffusion/verify/node.ts";
import { referenceFolder } from "../diffusion/ema/referenceFiles.ts";

const root = mkdtempSync(path.join(os.tmpdir(), "evenkeel-verify-"));
after(() => rmSync(root, { recursive: true }));

/** A folder with these reference files. */
function folderOf(...names: readonly string[]): string {
  const folder = mkdtempSync(path.join(root, "folder-"));
  for (const name of names) cpSync(path.join(referenceFolder, name), path.join(folder, name));
  return folder;
}

type Outcome = { readonly output: string; readonly exitCode: typeof process.exitCode; readonly failure: unknown };

/** Runs `evenkeel verify` in this process. */
async function verify(t: TestContext, ...args: readonly string[]): Promise<Outcome> {
  const output: string[] = [];
  const log = t.mock.method(console, "log", (text: string) => void output.push(text));
  const program = new Command("evenkeel").exitOverride().configureOutput({ writeErr: () => undefined });
  addVerifyCommand(program);
  const before = process.exitCode;
  try {
    await program.parseAsync(["verify", ...args], { from: "user" });
    return { output: output.join("\n"), exitCode: process.exitCode, failure: undefined };
  } catch (failure) {
    return { output: output.join("\n"), exitCode: process.exitCode, failure };
  } finally {
    process.exitCode = before;
    log.mock.restore();
  }
}

const primitives = "edm2_primitives.safetensors";
const baseline = "edm_baseline_adm_unet.safetensors";

describe("evenkeel verify", () => {
  it("prints a line a file and the sums, and succeeds", async (t) => {
    const folder = folderOf(primitives, baseline, "README.md");
    const { output, exitCode, failure } = await verify(t, folder, "--device", "oracle");
    assert.equal(failure, undefined);
    assert.equal(exitCode, undefined);
    const lines = output.split("\n");
    assert.equal(lines.length, 3);
    assert.match(
      lines[0] ?? "",
      /^passed edm2_primitives\.safetensors \| \d+ tensors \| outputs .+ of 3e-6 \(.+\) \| gradients /,
    );
    assert.match(lines[1] ?? "", /^passed edm_baseline_adm_unet\.safetensors \| \d+ tensors \| outputs .+ of 1e-5 \(/);
    assert.equal(lines[2], "2 passed, 0 failed");
  });

  it("fails if a file does", async (t) => {
    const folder = folderOf(primitives);
    writeFileSync(path.join(folder, "edm2_blocks.safetensors"), "");
    const { output, exitCode } = await verify(t, folder, "--device", "oracle");
    assert.equal(exitCode, 1);
    assert.match(output, /^failed edm2_blocks\.safetensors \| 0 tensors \| .+/);
    assert.match(output, /\n1 passed, 1 failed$/);
  });

  it("fails if nothing is there, or an option makes no sense", async (t) => {
    for (const args of [
      [folderOf(), "--device", "oracle"],
      [path.join(root, "none"), "--device", "oracle"],
      [folderOf(primitives), "--device", "abacus"],
      [folderOf(primitives), "--device", "oracle", "--rtol-scale", "much"],
      [folderOf(primitives), "--tolerance", "1"],
    ]) {
      assert.ok((await verify(t, ...args)).failure instanceof Error, args.join(" "));
    }
  });

  it("scales tolerances", async (t) => {
    const { output, exitCode } = await verify(t, folderOf(primitives), "--device", "wasm", "--rtol-scale", "1e-3");
    assert.equal(exitCode, 1);
    assert.match(output, / is off by /);
    assert.match(output, /and \d+ more \(--json has all\)/);
    assert.match(output, /\n0 passed, 1 failed$/);
  });

  it("prints JSON", async (t) => {
    const folder = folderOf(primitives);
    const { output } = await verify(t, folder, "--device", "oracle", "--json");
    const report = JSON.parse(output) as VerifyReport;
    assert.deepEqual([report.passed, report.failed, report.device, report.folder], [1, 0, "oracle", folder]);
    const [file] = report.files;
    assert.ok(file !== undefined);
    assert.equal(file.file, primitives);
    assert.ok(file.tensors > 100);
    assert.deepEqual(file.worst.map((worst) => worst.class).toSorted(), ["gradient", "output", "scalar"]);
  });

  it("takes its folder from the environment", async (t) => {
    const before = process.env["EVENKEEL_REFERENCE"];
    process.env["EVENKEEL_REFERENCE"] = folderOf(primitives);
    try {
      assert.match((await verify(t, "--device", "oracle")).output, /\n1 passed, 0 failed$/);
    } finally {
      if (before === undefined) delete process.env["EVENKEEL_REFERENCE"];
      else process.env["EVENKEEL_REFERENCE"] = before;
    }
  });
});
