/** A run that is killed again and again goes on as if nothing had happened. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bundledProgram } from "../../support/bundledProgram.ts";

const steps = 40;
const batch = 8;

let root = "";
let program = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-crash-"));
  program = await bundledProgram("test/support/crashRun.ts");
});
after(() => rm(root, { recursive: true }));

type Ending = {
  readonly killed: boolean;
  readonly output: string;
  readonly warnings: string;
  /** Milliseconds until the first step. */
  readonly starting: number;
};

/** So many milliseconds after the process was started or after the first step that it does. */
type Instant = { readonly after: "start" | "step"; readonly milliseconds: number };

/** Runs the program; kills it at the given instant, if it still lives then. */
function run(folder: string, instant?: Instant): Promise<Ending> {
  return new Promise((resolve, reject) => {
    // What is compiled to be faster is done before that pays.
    const child = spawn(process.execPath, ["--no-opt", program, folder], { stdio: ["ignore", "pipe", "pipe"] });
    const begin = performance.now();
    let [output, warnings, starting] = ["", "", Infinity];
    let timer: NodeJS.Timeout | undefined;
    const killIf = (after: Instant["after"]): void => {
      if (instant?.after === after) timer ??= setTimeout(() => child.kill("SIGKILL"), instant.milliseconds);
    };
    child.on("spawn", () => killIf("start"));
    child.stderr.on("data", (chunk: Buffer) => (warnings += chunk.toString()));
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      starting = Math.min(starting, performance.now() - begin);
      killIf("step");
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (signal !== "SIGKILL" && code !== 0) reject(new Error(`exit code ${code}: ${warnings}`));
      else resolve({ killed: signal === "SIGKILL", output, warnings, starting });
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
  const { starting } = await run(straight);
  const expected = await hashes(straight);
  assert.equal([...expected.keys()].filter((name) => name.startsWith("training-state")).length, 2);
  // Two runs beside each other, because most of the time is taken by starting again.
  await Promise.all(
    [7, 11].map(async (seed) => {
      const broken = join(root, `broken${seed}`);
      await killed(broken, 15, seed, starting);
      assert.deepEqual(await hashes(broken), expected);
    }),
  );
});

/** Runs to the end, killed so many times at instants that the seed gives: every third while it starts, the others while it trains and writes. */
async function killed(folder: string, times: number, seed: number, starting: number): Promise<void> {
  let state = seed;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  let kills = 0;
  let ending: Pick<Ending, "killed"> = { killed: true };
  while (ending.killed || kills < times) {
    // Finished too soon: once more from the start.
    if (!ending.killed) await rm(folder, { recursive: true });
    const instant: Instant =
      kills % 3 === 2
        ? { after: "start", milliseconds: random() * starting }
        : { after: "step", milliseconds: random() * 120 };
    ending = await run(folder, kills < times ? instant : undefined);
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
