/**
 * Runs the test suite with Node's test runner: every test file under `test`, or those whose path contains one of the
 * arguments (`npm test -- engine/io`). Node 20's runner takes no patterns itself.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const testTimeoutMilliseconds = 15 * 60 * 1000;
const wanted = process.argv.slice(2);

const files = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".test.ts"))
  .map((path) => join("test", path))
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  .sort();

if (files.length === 0) {
  console.error(`No test file's path contains ${wanted.join(" or ")}.`);
  process.exit(1);
}

const reporter = process.stdout.isTTY ? "spec" : "tap";
const { status, error } = spawnSync(
  process.execPath,
  [
    "--import",
    "tsx",
    "--import",
    "./test/support/repeatableProperties.ts",
    "--test",
    `--test-timeout=${testTimeoutMilliseconds}`,
    // Node leaves one core idle, which of two is half.
    `--test-concurrency=${availableParallelism()}`,
    `--test-reporter=${reporter}`,
    "--test-reporter-destination=stdout",
    ...files,
  ],
  { stdio: "inherit" },
);
if (error !== undefined) throw error;
process.exit(status ?? 1);
