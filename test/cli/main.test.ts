import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import { CommanderError } from "@commander-js/extra-typings";
import { encode } from "fast-png";
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

  it("ends with 2 for a bad value or an impossible combination in every command, with 1 for files that fail", async () => {
    const missing = join(tmpdir(), "evenkeel-nowhere.safetensors");
    const program = await bundledCli();
    const misuse = [
      "sample --net a.safetensors",
      "sample --net a.safetensors --grid a.jpg",
      "sample --net a.safetensors --outdir a --device abacus",
      "sample --net a.safetensors --outdir a --seeds x",
      "train --config H --outdir a",
      "train --preset smoke --data emoji16-nobody --outdir a",
      "compare --data a.zip --preset smoke --outdir a --change lr=0.1 --pairs 2",
      "ladder --data a.zip --outdir a --seeds 0,0",
      "export --to onnx a --duration 8k",
      "count --preset smoke --net a.safetensors",
      "phema --indir a --outstd 0.1",
      "metrics ref --data a --dest a.npz --features pixels",
      "toy plot --net exact:A --save a.gif",
      "toy report --net exact:A --device abacus",
      "test-device abacus",
    ];
    const failures = [
      `sample --net ${missing} --outdir a`,
      `count --net ${missing}`,
      `phema --indir ${missing} --outdir a --outstd 0.1`,
      `dataset info ${missing}`,
      `export --to onnx ${missing}`,
      `doctor ${missing}`,
    ];
    for (const [lines, wanted] of [
      [misuse, 2],
      [failures, 1],
    ] as const) {
      for (const line of lines) {
        const { code, err } = evenkeel(program, ...line.split(" "));
        assert.equal(code, wanted, `${line}: ${err}`);
        assert.match(err, /^(evenkeel|error|memory): /m, line);
      }
    }
  });

  it("prints no orders to the terminal that names of files give", async () => {
    const root = mkdtempSync(join(tmpdir(), "evenkeel-names-"));
    try {
      const picture = encode({ width: 2, height: 2, channels: 1, depth: 8, data: new Uint8Array(4) });
      for (const name of ["\u001b]0;title\u0007", "\u001b[31mred", "c1\u009b2J"]) {
        mkdirSync(join(root, name));
        writeFileSync(join(root, name, "a.png"), picture);
      }
      const told = evenkeel(await bundledCli(), "dataset", "info", root);
      assert.equal(told.code, 0, told.err);
      assert.match(told.out, /\\u001b\[31mred/);
      const broken = join(root, "c1\u009b2J.zip");
      writeFileSync(broken, "no archive");
      const refused = evenkeel(await bundledCli(), "dataset", "info", broken);
      assert.equal(refused.code, 1);
      assert.match(refused.err, /^evenkeel: .*c1\\u009b2J/);
      for (const text of [told.out, told.err, refused.out, refused.err]) assert.doesNotMatch(text, /[^\P{Cc}\n]/u);
    } finally {
      rmSync(root, { recursive: true });
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

  it("gives 2 for what was asked for wrongly, however it was found, and 1 for work that failed", () => {
    const codeOf = (reason: unknown): number => reportFailure(reason, () => undefined, false);
    for (const code of ["value", "range"] as const) assert.equal(codeOf(new EvenkeelError(code, "no")), 2, code);
    for (const code of ["file", "memory", "device", "diverged", "aborted", "state"] as const) {
      assert.equal(codeOf(new EvenkeelError(code, "no")), 1, code);
    }
    assert.equal(codeOf(new CommanderError(1, "commander.unknownOption", "no")), 2);
    assert.equal(codeOf(new CommanderError(0, "commander.help", "no")), 0);
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
