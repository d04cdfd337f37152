import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { StopSignals } from "../../../diffusion/run/stopSignals.ts";

const program = fileURLToPath(new URL("../../support/stoppableLoop.ts", import.meta.url));

type Ending = { readonly code: number | null; readonly signal: string | null; readonly output: string };

/** Runs the loop; sends the first signal once it runs, the second so many milliseconds after it has told of the first. */
function run(argument: string, first: NodeJS.Signals, second?: NodeJS.Signals, after = 700): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", program, argument], {
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

for (const first of ["SIGINT", "SIGTERM"] as const) {
  test(`the first ${first} lets the step end`, async () => {
    assert.deepEqual(await run("loop", first), {
      code: 0,
      signal: null,
      output: `running\nfirst ${first}\ncheckpoint written\n`,
    });
  });
}

for (const [second, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  test(`a second signal, ${second}, ends the process at once with ${code}`, async () => {
    assert.deepEqual(await run("stuck", "SIGINT", second), { code, signal: null, output: "running\nfirst SIGINT\n" });
  });
}

test("the same key press told twice, as npm does, is one signal", () => {
  const told: NodeJS.Signals[] = [];
  const signals = new StopSignals((signal) => told.push(signal));
  // At one time, by what listens: signals of other processes come when they come. A second one taken for its own ends this process.
  const hear = process.listeners("SIGINT").at(-1);
  assert.ok(hear !== undefined);
  hear("SIGINT");
  hear("SIGINT");
  signals.dispose();
  assert.deepEqual(told, ["SIGINT"]);
  assert.equal(signals.requested, true);
});

test("disposed, it listens no longer", () => {
  const listeners = (): number[] => [process.listenerCount("SIGINT"), process.listenerCount("SIGTERM")];
  const before = listeners();
  const signals = new StopSignals(() => undefined);
  assert.equal(signals.requested, false);
  assert.deepEqual(
    listeners(),
    before.map((count) => count + 1),
  );
  signals.dispose();
  assert.deepEqual(listeners(), before);
});
