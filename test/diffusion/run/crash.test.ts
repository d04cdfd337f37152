/** A run that is killed again and again goes on as if nothing had happened. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const steps = 40;
const batch = 8;

let root = "";
let program = "";
before(async () => {
  // Where packages are found from. One JavaScript file, as it starts more than thirty times: that takes two thirds of the time.
  const scratch = fileURLToPath(new URL("../../../node_modules/.cache", import.meta.url));
  await mkdir(scratch, { recursive: true });
  root = await mkdtemp(join(scratch, "evenkeel-crash-"));
  program = join(root, "crashRun.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("../../support/crashRun.ts", import.meta.url))],
    outfile: program,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    logLevel: "warning",
  });
});
after(() => rm(root, { recursive: true }));

type Ending = { readonly killed: boolean; readonly output: string; readonly warnings: string };

/** Runs the program; kills it at the given time after its first step of this start, if it still lives then. */
function run(folder: string, killAfter?: number): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, folder], { stdio: ["ignore", "pipe", "pipe"] });
    let [output, warnings] = ["", ""];
    let timer: NodeJS.Timeout | undefined;
    child.stderr.on("data", (chunk: Buffer) => (warnings += chunk.toString()));
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (killAfter !== undefined) timer ??= setTimeout(() => child.kill("SIGKILL"), killAfter);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (signal !== "SIGKILL" && code !== 0) reject(new Error(`exit code ${code}: ${warnings}`));
      else resolve({ killed: signal === "SIGKILL", output, warnings });
    });
  });
}

/** Hashes of a folder's files. */
async function hashes(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of (await readdir(folder)).sort()) {
    files.set(
      name,
      createHash("sha256")
        .update(await readFile(join(folder, name)))
        .digest("hex"),
    );
  }
  return files;
}

test("killed at 30 random instants and resumed, it leaves the files of the uninterrupted run", async () => {
  const straight = join(root, "straight");
  await run(straight);
  const expected = await hashes(straight);
  assert.equal([...expected.keys()].filter((name) => name.startsWith("training-state")).length, 2);
  // Two runs beside each other, because most of the time is taken by starting again.
  await Promise.all(
    [7, 11].map(async (seed) => {
      const broken = join(root, `broken${seed}`);
      await killed(broken, 15, seed);
      assert.deepEqual(await hashes(broken), expected);
    }),
  );
});

/** Runs to the end, killed so many times at instants that the seed gives. */
async function killed(folder: string, times: number, seed: number): Promise<void> {
  let state = seed;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  let kills = 0;
  let ending: Ending = { killed: true, output: "", warnings: "" };
  while (ending.killed || kills < times) {
    // Finished too soon: once more from the start.
    if (!ending.killed) await rm(folder, { recursive: true });
    ending = await run(folder, kills < times ? random() * 120 : undefined);
    if (ending.killed) kills += 1;
  }
  assert.equal(kills, times);
}

test("a truncated checkpoint is passed over for the one before, with a warning", async () => {
  const folder = join(root, "straight");
  const expected = await hashes(folder);
  const newest = `training-state-${String(steps * batch).padStart(10, "0")}.safetensors`;
  await truncate(join(folder, newest), 1000);
  const { output } = await run(folder);
  assert.match(output, /passing over a damaged checkpoint: .*training-state-0000000320/);
  assert.deepEqual(await hashes(folder), expected);
});
