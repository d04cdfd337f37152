/**
 * Looks for counterexamples with seeds that `npm test` doesn't use: `npm run test:seeds -- 30 test/diffusion/ema test/nn` runs
 * the files with properties whose path contains an argument once for each of 30 seeds, in one process a seed, and prints which
 * tests failed with which. Without paths: all such files but those that start programs or browsers. `--first 500` begins at
 * seed 500 (else 1).
 */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { first: { type: "string", default: "1" } },
  allowPositionals: true,
});
const [count, first] = [Number(positionals[0]), Number(values.first)];
if (!Number.isInteger(count) || count < 1 || !Number.isInteger(first)) {
  console.error("Usage: npm run test:seeds -- <number of seeds> [--first <seed>] [path parts]");
  process.exit(2);
}
const wanted = positionals.slice(1);
const files = readdirSync("test", { recursive: true, encoding: "utf8" })
  .map((path) => join("test", path))
  .filter((path) => path.endsWith(".test.ts") && (wanted.length === 0 || wanted.some((part) => path.includes(part))))
  .filter((path) => {
    const text = readFileSync(path, "utf8");
    if (!/fc\.(assert|check)|EVENKEEL_SEED/.test(text)) return false;
    return wanted.length > 0 || !/child_process|playwright/.test(text);
  })
  .sort();
if (files.length === 0) {
  console.error(`No test file with properties has ${wanted.join(" or ")} in its path.`);
  process.exit(1);
}
console.log(`${files.length} files with properties, seeds ${first} to ${first + count - 1}`);

const imports = files.map((file) => `await import(${JSON.stringify(pathToFileURL(resolve(file)).href)});`).join("\n");
const failures = [];
for (let seed = first; seed < first + count; seed++) {
  const options = ["--import", "tsx", "--import", "./test/support/repeatableProperties.ts", "--test-reporter=tap"];
  const { stdout, error } = spawnSync(process.execPath, [...options, "--input-type=module", "--eval", imports], {
    env: { ...process.env, EVENKEEL_SEED: String(seed) },
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (error !== undefined) throw error;
  const seconds = Number(/^# duration_ms (.*)$/m.exec(stdout)?.[1] ?? NaN) / 1000;
  const fallen = [...stdout.matchAll(/^ *not ok \d+ - (.*)\n(?: .*\n)*?(?: *(Repeat it with: .*))?\n *code: /gm)];
  console.log(
    `seed ${seed}: ${/^# pass (.*)$/m.exec(stdout)?.[1]} passed, ${fallen.length} failed, ${seconds.toFixed(1)} s`,
  );
  for (const [text] of fallen) {
    failures.push(seed);
    console.log(text);
  }
  if (!/^# fail /m.test(stdout))
    throw new Error(`The process of seed ${seed} did not end its tests:\n${stdout.slice(-2000)}`);
}
console.log(failures.length === 0 ? "No test failed." : `Failures with seeds ${[...new Set(failures)].join(", ")}.`);
process.exit(failures.length === 0 ? 0 : 1);
