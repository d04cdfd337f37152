import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { describe, it } from "node:test";
import { CommanderError } from "@commander-js/extra-typings";
import { createProgram } from "../../cli/program.ts";
import { reportFailure } from "../../cli/reportFailure.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { bundledCli } from "../support/bundledProgram.ts";

const root = resolve(import.meta.dirname, "../..");

/** Runs the program, from a folder that has no packages. */
function evenkeel(
  command: string,
  ...args: readonly string[]
): {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
} {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    cwd: tmpdir(),
    encoding: "utf8",
  });
  return { code: status, out: stdout, err: stderr };
}

describe("evenkeel", () => {
  it("runs from a clone without a build and prints its version", () => {
    const { version } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8")) as { readonly version: string };
    assert.deepEqual(evenkeel(resolve(root, "cli/evenkeel.js"), "--version"), {
      code: 0,
      out: `${version}\n`,
      err: "",
    });
  });

  it("prints its usage and every command for --help", async () => {
    const { code, out, err } = evenkeel(await bundledCli(), "--help");
    assert.deepEqual({ code, err }, { code: 0, err: "" });
    assert.match(out, /^Usage: npx evenkeel /);
    for (const command of createProgram().commands) assert.ok(out.includes(`  ${command.name()} `), command.name());
  });

  it("ends with 2 and a reason for an unknown option or command", async () => {
    for (const argument of ["--nonsense", "nonsense"]) {
      const { code, out, err } = evenkeel(await bundledCli(), argument);
      assert.deepEqual({ code, out }, { code: 2, out: "" });
      assert.match(err, /^error: /);
    }
  });

  it("has commands that leave ending the process to the program", () => {
    for (const command of createProgram().commands) {
      assert.throws(() => command.error("told"), CommanderError, command.name());
    }
  });
});

describe("reportFailure", () => {
  const error = new EvenkeelError("shape", "add: [2] and [3] don't broadcast.");

  it("says an error of Evenkeel's in one line and gives 1", () => {
    const printed: string[] = [];
    assert.equal(
      reportFailure(error, (text) => printed.push(text), false),
      1,
    );
    assert.deepEqual(printed, ["evenkeel: add: [2] and [3] don't broadcast."]);
  });

  it("shows the stack when asked", () => {
    const printed: string[] = [];
    assert.equal(
      reportFailure(error, (text) => printed.push(text), true),
      1,
    );
    assert.deepEqual(printed, [error.stack]);
  });

  it("passes on what isn't Evenkeel's error", () => {
    const defect = new TypeError("a defect");
    const print = (): never => assert.fail("printed");
    assert.throws(() => reportFailure(defect, print, false), defect);
  });
});
