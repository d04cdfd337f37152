import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { bundledCli } from "../support/bundledProgram.ts";
import { evenkeel as evenkeelHere } from "./train/tinyRun.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-explain-"));
after(() => rmSync(folder, { recursive: true }));

type Outcome = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs the program as a process. */
function evenkeel(program: string, ...args: readonly string[]): Promise<Outcome> {
  const environment = { ...process.env, EVENKEEL_DEVICE: "wasm" };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...args],
      { env: environment, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}

function file(name: string, text: string): string {
  const place = path.join(folder, name);
  writeFileSync(place, text.replace("evenkeel/engine", path.join(root, "engine/index.ts")));
  return place;
}

const example = path.join(root, "examples/explainConvNet.ts");

describe("evenkeel explain", () => {
  it("writes a page that needs no other file", async () => {
    const html = path.join(folder, "page.html");
    const { code, stdout } = await evenkeel(path.join(root, "cli/evenkeel.js"), "explain", example, "--html", html);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+ kernels on wasm: .*page\.html\n$/);
    const page = readFileSync(html, "utf8");
    assert.match(page, /^<!doctype html>/);
    assert.doesNotMatch(page, /(src|href)="(?!#)|@import|url\(/);
    assert.match(page, /<svg [^]*<rect /);
    assert.match(page, /share of time/);
    assert.match(page, /;; schedule: /);
    // Every tag that is opened is closed.
    for (const tag of ["table", "tr", "section", "details", "pre", "svg", "h2", "h3"]) {
      const count = (pattern: RegExp): number => [...page.matchAll(pattern)].length;
      assert.equal(count(new RegExp(`<${tag}[ >]`, "g")), count(new RegExp(`</${tag}>`, "g")), tag);
    }
  });

  it("prints text, on the device that is asked for", async () => {
    const { code, out } = await evenkeelHere(["explain", example, "--device", "cpu", "--no-profile"]);
    assert.equal(code, 0);
    assert.match(out, /^device cpu: /);
    assert.match(out, /\[javascript\]\nfunction /);
    assert.doesNotMatch(out, / ms\n/);
  });

  it("says what is wrong with a file, a device, a place to write", async () => {
    const expectFailure = async (pattern: RegExp, ...args: readonly string[]): Promise<void> => {
      const { code, err } = await evenkeelHere(["explain", ...args]);
      assert.match(err, pattern);
      assert.equal(code, 1);
    };
    await expectFailure(/evenkeel: explain: .*missing\.ts can't be loaded: /, path.join(folder, "missing.ts"));
    await expectFailure(/broken\.mts can't be loaded: /, file("broken.mts", "export default {{"));
    await expectFailure(/must have a default export \{ fn, args \}/, file("other.mts", "export const fn = 1;"));
    await expectFailure(
      /whose fn is no function or args no array/,
      file("wrong.mts", "export default { fn: 1, args: [] };"),
    );
    // In a process of its own, as the tests' loader takes CommonJS for a module.
    const common = file("common.ts", 'import { exp } from "evenkeel/engine"; export default { fn: exp, args: [] };');
    const { code, stderr } = await evenkeel(await bundledCli(), "explain", common);
    assert.match(stderr, /Name it \.mts/);
    assert.equal(code, 1);
    const unknown = await evenkeelHere(["explain", example, "--device", "abacus"]);
    assert.match(unknown.err, /unknown device "abacus"/);
    assert.equal(unknown.code, 2);
    await expectFailure(/nowhere/, example, "--device", "wasm", "--html", path.join(folder, "nowhere/page.html"));
    const mistaken =
      'import { matmul, zeros } from "evenkeel/engine"; export default { fn: matmul, args: [zeros([8, 16]), zeros([32, 4])] };';
    await expectFailure(/matmul: inner dimensions differ: \[8, 16\] @ \[32, 4\]/, file("mistaken.mts", mistaken));
    assert.equal((await evenkeelHere(["explain", example, "--colour"])).code, 2);
    assert.equal((await evenkeelHere(["explain"])).code, 2);
  });
});
