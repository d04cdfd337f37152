import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));

it("the README's tour runs as it stands", async () => {
  const [, tour] = /```ts\n([^]*?)```/.exec(readFileSync(path.join(root, "README.md"), "utf8")) ?? [];
  assert.ok(tour);
  const folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-readme-"));
  try {
    const file = path.join(folder, "tour.mts");
    writeFileSync(file, tour.replace('"evenkeel/engine"', JSON.stringify(path.join(root, "engine/index.ts"))));
    const environment = { ...process.env, EVENKEEL_DEVICE: "wasm" };
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file], {
      cwd: root,
      env: environment,
    });
    const lines = stdout.trim().split("\n");
    assert.ok(Math.abs(Number(lines[0]) - [1, 2, 3, 4].reduce((sum, x) => sum + Math.tanh(x) / 4, 0)) < 1e-6, lines[0]);
    assert.match(stdout, /\[ 2, 3 \] \[ \[ 0, 0, 0 \], \[ 0, 0, 0 \] \]/);
    const [a, b] = (/\[ ([\d.e-]+), ([\d.e-]+) \]$/.exec(stdout.trim()) ?? []).slice(1).map(Number);
    // Each step multiplies by 1 - 0.1.
    assert.ok(Math.abs((a ?? NaN) - 0.9 ** 100) < 1e-9 && Math.abs((b ?? NaN) - 2 * 0.9 ** 100) < 1e-9, stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
