/**
 * What every property test shares; `npm test` loads it before a test file (`--import`). Seeds are fixed, so that a change
 * fails by what it changes and never by the day it runs on; `EVENKEEL_SEED` sets another, and `npm run test:seeds` looks for
 * new counterexamples with many. A failure ends with the command that repeats it.
 */
import { relative } from "node:path";
import fc from "fast-check";

const given = process.env["EVENKEEL_SEED"];
const seed = given === undefined ? 20240612 : Number(given);
if (!Number.isInteger(seed)) throw new Error(`EVENKEEL_SEED is ${JSON.stringify(given)}; wanted a whole number.`);

/** The test file that a property stands in: the first one named by a stack, else the process's own file. */
function testFile(...stacks: readonly (string | undefined)[]): string {
  for (const stack of stacks) {
    const found = /[^\s()]*\/test\/[^\s():]*\.test\.ts/.exec(stack ?? "");
    if (found !== null) return relative(process.cwd(), found[0].replace(/^file:\/\//, ""));
  }
  return relative(process.cwd(), process.argv[1] ?? "test");
}

/** Throws what fast-check would (seed, path, counterexample), followed by the command that runs the same cases again. */
function reportWithCommand<T>(details: fc.RunDetails<T>): void {
  if (!details.failed) return;
  const { errorInstance: cause } = details;
  const file = testFile(cause instanceof Error ? cause.stack : undefined, new Error("where the property stands").stack);
  const message = fc.defaultReportMessage(details) ?? "The property failed.";
  throw new Error(`${message}\n\nRepeat it with: EVENKEEL_SEED=${details.seed} npm test -- ${file}`, { cause });
}

fc.configureGlobal({ seed, includeErrorInReport: true });
fc.installGlobalPlugin(() => ({ onAllRunsComplete: reportWithCommand }));
