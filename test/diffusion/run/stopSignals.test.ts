import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { StopSignals } from "../../../diffusion/run/stopSignals.ts";
import { bundledProgram } from "../../support/bundledProgram.ts";

type Ending = { readonly code: number | null; readonly signal: string | null; readonly output: string };

/** Runs the loop; sends the first signal once it runs, the second so many milliseconds after it has told of the first. */
async function run(
  argument: string,
  first: NodeJS.Signals,
  second?: NodeJS.Signals,
  after = 700,
  target = "",
): Promise<Ending> {
  const program = await bundledProgram("test/support/stoppableLoop.ts");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, argument, target], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      const before = output;
      output += chunk.toString();
      if (!before.includes("running") && output.includes("running")) child.kill(first);
      if (second !== undefined && !before.includes("first") && output.includes("first"))
        setTimeout(() => child.kill(second), after);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, output }));
  });
}

const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const signals = Object.keys(codes) as (keyof typeof codes)[];

for (const first of signals) {
  test(`the first ${first} lets the step end, and the exit code tells of it`, async () => {
    const output = `running\nfirst ${first}\ncheckpoint written\n`;
    assert.deepEqual(await run("loop", first), { code: codes[first], signal: null, output });
  });

  test(`${first} ends at once what doesn't end in order, and leaves nothing half-written`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "evenkeel-stop-"));
    const output = `running\n${first}: stopped. Nothing was written.\n`;
    const ending = await run("alone", first, undefined, 0, join(folder, "file"));
    assert.deepEqual(ending, { code: codes[first], signal: null, output });
    assert.deepEqual(await readdir(folder), []);
    await rm(folder, { recursive: true });
  });
}

for (const second of signals) {
  test(`a second signal, ${second}, ends the process at once with ${codes[second]}`, async () => {
    const output = `running\nfirst SIGINT\n${second}: stopped. The files that are there are whole.\n`;
    assert.deepEqual(await run("stuck", "SIGINT", second), { code: codes[second], signal: null, output });
  });
}

test("the same key press told twice, as npm does, is one signal", async () => {
  const told: string[] = [];
  const both = new StopSignals(() => undefined);
  both.listen();
  await both.during(
    (signal) => void told.push(signal),
    async () => {
      // At one time, by what listens: signals of other processes come when they come. A second one taken for its own ends this process.
      const hear = process.listeners("SIGINT").at(-1);
      assert.ok(hear !== undefined);
      hear("SIGINT");
      hear("SIGINT");
    },
  );
  both.dispose();
  assert.deepEqual(told, ["SIGINT"]);
  assert.equal(both.exitCode, 130);
});
