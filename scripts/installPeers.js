/** Installs what benches are measured beside, and says so: nothing that takes minutes is silent. To standard error, for others print JSON. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { clearInterval, setInterval } from "node:timers";

const folder = resolve(import.meta.dirname, "..", "bench");
const { devDependencies: peers } = JSON.parse(readFileSync(resolve(folder, "package.json"), "utf8"));
const say = (text) => void process.stderr.write(`${text}\n`);

const begun = performance.now();
const seconds = () => `${((performance.now() - begun) / 1e3).toFixed(0)} s`;
say(
  `Installing the peers (${Object.keys(peers).join(", ")}) into bench/node_modules: some seconds, or minutes where they aren't in npm's cache.`,
);
const timer = setInterval(() => say(`... still installing, ${seconds()}`), 10_000);
const npm = spawn("npm", ["ci", "--prefix", folder, "--silent"], {
  stdio: "inherit",
  shell: process.platform === "win32",
});
npm.on("error", (error) => {
  clearInterval(timer);
  say(`npm can't be started: ${error.message}`);
  process.exitCode = 1;
});
npm.on("exit", (code) => {
  clearInterval(timer);
  if (code !== 0) say(`npm ci --prefix bench has failed with code ${code}; run it without --silent to see why.`);
  else say(`Installed in ${seconds()}.`);
  process.exitCode = code ?? 1;
});
