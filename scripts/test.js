/**
 * Runs the test suite with Node's test runner: every test file under `test`, or those whose path contains one of the
 * arguments (`npm test -- engine/io`). Files take turns on as many processes as there are cores. To start one takes as long as
 * a short file's tests: sources are compiled once for all, and short files of a folder share a process where nothing of one reaches
 * another.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { run } from "node:test";
import * as reporters from "node:test/reporters";
import { pathToFileURL } from "node:url";
import { compileSources } from "./compileSources.js";

const testTimeoutMilliseconds = 30 * 60 * 1000;

/**
 * Files and folders that take more than 8 seconds: they start first, the longest before the others, so that all cores end together. Files of
 * such a folder share a process, too.
 */
const longest = [
  "browser/lab",
  "cli/shards/killed",
  "browser/devices",
  "package",
  "browser/training",
  "engine/devices/kernels",
  "browser/storage",
  "lint",
  "engine/devices/programs",
  "diffusion/run/crash",
  "bench/gpu",
  "cli/compare/compare",
  "cli/ladder/ladder",
  "cli/export/pytorch",
  "torch/programs",
  "diffusion/training/explainTraining",
  "cli/train/train",
  "diffusion/network/configurations",
  "docs",
  "diffusion/verify/oracle",
  "diffusion/training/longRun",
  "diffusion/network/network",
  "diffusion/training/trainer",
  "diffusion/verify/passes",
  "engine/program/algebra",
  "testing/kernelLaws",
  "diffusion/features/nsfwjs",
  "diffusion/verify/detects",
  "diffusion/dynamics/probe",
  "cli/train/badInput",
  "nn/configurations",
  "engine/devices/gpujs/submits",
  "cli/explain",
  "diffusion/run/trainingRun",
  "engine/devices/wasm/winogradPrograms",
  "verifyingDocs",
  "diffusion/dynamics/doctor",
  "onnx/exportOnnx",
  "cli/export/onnx",
].map((name) => join("test", name));

/** What reaches beyond a file: hooks at its top level, methods that are replaced, the environment, the process itself, its memory. */
const reachesOut =
  /^(before|after)(Each)?\(|mock\.method|process\.(env\[|memoryUsage|exit|once|on\(|chdir|execArgv)|child_process|globalThis/m;

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

const scratch = mkdtempSync(join(tmpdir(), "evenkeel-tests-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

const compiled = join(scratch, "compiled");
await compileSources(compiled);

/** Files that load TypeScript which imports the engine: that has to be the one they import themselves. */
const loadTypeScript = ["test/cli/explain.test.ts"].map((path) => join(path));

/** What is run for a test file. */
function programOf(path) {
  if (!loadTypeScript.includes(path)) return join(compiled, path.replace(/\.ts$/, ".js"));
  // Where packages are found from.
  const program = join(compiled, `${path.replace(/\W/g, "-")}.mjs`);
  const url = JSON.stringify(pathToFileURL(resolve(path)).href);
  writeFileSync(program, `import { register } from "tsx/esm/api";\nregister();\nawait import(${url});\n`);
  return program;
}

/** Files as the runner takes them: those of one folder that can share a process as a file that imports them. */
function grouped(paths) {
  const groups = new Map();
  for (const path of paths) groups.set(dirname(path), [...(groups.get(dirname(path)) ?? []), path]);
  return [...groups].flatMap(([folder, members]) => {
    const sharing = members.filter((path) => !reachesOut.test(readFileSync(path, "utf8")));
    if (sharing.length < 2) return members.map(programOf);
    const group = join(scratch, `${folder.replace(/\W/g, "-")}.mjs`);
    // A file that can't be loaded is a test that fails.
    const imports = sharing.map((path) => {
      const [name, url] = [JSON.stringify(path), JSON.stringify(pathToFileURL(programOf(path)).href)];
      return `await import(${url}).catch((error) => test(${name}, () => { throw error; }));\n`;
    });
    writeFileSync(group, `import test from "node:test";\n${imports.join("")}`);
    return [...members.filter((path) => !sharing.includes(path)).map(programOf), group];
  });
}

// The processes of test files get these too. The second fixes the seeds of properties.
process.execArgv.push("--enable-source-maps", "--import", join(compiled, "test/support/repeatableProperties.js"));
const isOf = (name) => (path) => path === `${name}.test.ts` || dirname(path) === name;
const first = longest.map((name) => files.filter(isOf(name)));
const others = files.filter((path) => !longest.some((name) => isOf(name)(path)));
const stream = run({
  files: [...first, others].flatMap(grouped),
  concurrency: availableParallelism(),
  timeout: testTimeoutMilliseconds,
});

/** What failed, as the last lines say it again: thousands of others come between. */
const failures = [];
stream.on("test:fail", ({ name, file, todo, details }) => {
  if (todo !== undefined && todo !== false) return;
  process.exitCode = 1;
  // A suite fails by its tests, which are told themselves.
  if (details.error?.failureType === "subtestsFailed") return;
  const [reason] = String(details.error?.cause?.message ?? details.error?.message ?? "").split("\n");
  failures.push(
    `# failed: ${name}\n#   in ${file === undefined ? "an unknown file" : relative(".", file)}: ${reason}\n`,
  );
});
const report = stream.compose(process.stdout.isTTY ? new reporters.spec() : reporters.tap);
report.on("end", () => process.stdout.write(failures.join("")));
report.pipe(process.stdout, { end: false });
