/**
 * `npm run bench`: us and our peers on the same work, in turns, in one run. `-- --only WORDS` the rows whose names have them
 * (`gpu`: what training steps ask of a GPU, counted),
 * `--quick` few samples, `--json` the numbers, `--write` the files RESULTS.md, docs/bench.svg and the table of README.md.
 * `-- --device webgpu` is another table: the GPU of this machine beside `wasm`, without peers. `-- --only lab` is another one: the lab in
 * a browser, with `--minutes N` of training that are watched, and `--whole` for all images of the preset.
 */
import { createRequire } from "node:module";
import os from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { createDevice, EvenkeelError } from "../engine/index.ts";
import { besideJobs, measureBeside } from "./beside.ts";
import type { Availability } from "./contender.ts";
import { deviceContender, evenkeelContender } from "./evenkeel.ts";
import { jaxJsContender } from "./peers/jaxJs.ts";
import { tfjsContender } from "./peers/tfjs.ts";
import { startTorch, torchContender, variantContenders } from "./peers/torch.ts";
import { describeResults, type Results, writeResults } from "./results.ts";
import type { Row } from "./row.ts";
import { type Context, jobs, summaryOf, tallies } from "./rows.ts";

const threads = 2;

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    device: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    minutes: { type: "string", default: "3" },
    whole: { type: "boolean", default: false },
  },
});
const say = (text: string): void => void (options.json ? process.stderr : process.stdout).write(`${text}\n`);
const folder = fileURLToPath(new URL(".", import.meta.url));

// Peers are installed beside this file, not with the package.
const requireHere = createRequire(import.meta.url);
const load = (name: string): Promise<unknown> => import(pathToFileURL(requireHere.resolve(name)).href);

function sort(found: readonly Availability[]): Awaited<ReturnType<Context["devices"]>> {
  return {
    contenders: found.flatMap((one) => ("contender" in one ? [one.contender] : [])),
    absent: found.flatMap((one) => ("contender" in one ? [] : [{ contender: one.name, reason: one.missing }])),
  };
}

const describe = (one: Availability): string =>
  "contender" in one ? `${one.contender.name}: ${one.contender.description}` : `${one.name}: not here (${one.missing})`;

const memory = (os.totalmem() / 2 ** 30).toFixed(0);
const machine = `${os.cpus()[0]?.model ?? "unknown CPU"}, ${os.availableParallelism()} cores, ${memory} GiB, Node ${process.version}, ${os.type()}`;

if (options.write && (options.quick || options.only !== undefined)) {
  say("--write is for whole runs: leave out --only and --quick.");
  process.exit(1);
}
const wanted = (options.only ?? "").toLowerCase();
const isChosen = ({ name }: { readonly name: string }): boolean => name.toLowerCase().includes(wanted);
if (options.device !== undefined) {
  if (options.device !== "webgpu" || options.write || options.json) {
    say("--device is for webgpu, with --only and --quick alone.");
    process.exit(1);
  }
  const beside = besideJobs.filter(isChosen);
  if (beside.length === 0) {
    say(`no row matches ${options.only ?? ""}; there are\n${besideJobs.map(({ name }) => `  ${name}`).join("\n")}`);
    process.exit(1);
  }
  say(machine);
  const samples = options.quick ? { repeats: 3, sampleSeconds: 0.02 } : {};
  await measureBeside(beside, os.availableParallelism(), samples, say).then(
    (table) => say(`\n${table}`),
    (reason: unknown) => {
      // What is missing is said for people; everything else is a fault, whose place matters.
      if (!(reason instanceof EvenkeelError)) throw reason;
      say(reason.message);
      process.exitCode = 1;
    },
  );
  process.exit();
}
if (wanted === "lab") {
  const [{ measureLab }, { labTable }, { findChromium }] = await Promise.all([
    import("./lab/measureLab.ts"),
    import("./lab/labTable.ts"),
    import("../test/browser/run.ts"),
  ]);
  const executablePath = findChromium();
  const minutes = Number(options.minutes);
  if (executablePath === undefined || !(minutes > 0)) {
    say(
      executablePath === undefined ? "no chromium: install it or name it by CHROMIUM" : "--minutes N: a number above 0",
    );
    process.exit(1);
  }
  say(machine);
  const size = options.quick ? { rounds: 1, steps: 10 } : { rounds: 3, steps: 40 };
  const measured = await measureLab({ executablePath, minutes, isWhole: options.whole, ...size, say });
  if (options.json) process.stdout.write(`${JSON.stringify({ machine, lab: measured }, null, 2)}\n`);
  else say(`\n${labTable(measured)}`);
  process.exit();
}
// Software Vulkan, so that `webgpu` is run without a GPU too: for the correctness of the path, not for its speed.
await import("../test/support/softwareVulkan.ts");
const chosen = jobs.filter(isChosen);
const chosenTallies = tallies.filter(isChosen);
if (chosen.length + chosenTallies.length === 0) {
  const names = [...jobs, ...tallies, { name: "lab" }].map(({ name }) => `  ${name}`);
  say(`no row matches ${options.only ?? ""}; there are\n${names.join("\n")}`);
  process.exit(1);
}

say(machine);

const counted: { readonly title: string; readonly text: string }[] = [];
for (const { title, describe: describeTally } of chosenTallies) {
  const text = await describeTally();
  counted.push({ title, text });
  say(`\n## ${title}\n\n${text}\n`);
}
// Counting needs no peers.
if (chosen.length === 0) {
  if (options.json) process.stdout.write(`${JSON.stringify({ machine, tallies: counted }, null, 2)}\n`);
  process.exit();
}

const device = await createDevice("wasm", { wasm: { threads, relaxed: true } });
say("Starting the peers; PyTorch takes some seconds to load ...");
const peer = await startTorch(threads);
const found = [
  { contender: deviceContender("evenkeel wasm", device) },
  torchContender(peer),
  ...variantContenders(peer),
  await jaxJsContender(load, threads),
  await tfjsContender(load, folder, "wasm"),
];
for (const one of found) say(describe(one));
const { contenders: engines, absent } = sort(found);

let devices: Promise<readonly Availability[]> | undefined;
const context: Context = {
  threads,
  device,
  torch: "missing" in peer ? peer : peer.process,
  engines,
  absent,
  devices: async () => {
    devices ??= Promise.all([
      evenkeelContender("wasm", threads),
      evenkeelContender("cpu", threads),
      evenkeelContender("webgpu", threads),
      tfjsContender(load, folder, "cpu"),
    ]);
    return sort(await devices);
  },
  quick: options.quick,
};

/** A row that failed is part of the result, and the others are measured all the same. */
function failure(name: string, reason: unknown): Row {
  process.exitCode = 1;
  const message = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
  say(`${name} FAILED: ${message}`);
  const absent = [{ contender: "evenkeel wasm", reason: `failed: ${message.split("\n")[0] ?? ""}` }];
  return { group: "failed", name, measure: "seconds", measurements: [], absent };
}

const rows: Row[] = [];
for (const job of chosen) {
  const measured = await job.run(context).catch((reason: unknown) => [failure(job.name, reason)]);
  for (const row of measured) {
    rows.push(row);
    if (row.measurements.length > 0) say(summaryOf(row));
  }
}

const results: Results = {
  date: new Date().toISOString(),
  command: ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" "),
  machine,
  engines: [...found, ...((await devices) ?? []).slice(1)].map(describe),
  rows,
  tallies: counted,
};
if (options.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
else say(`\n${describeResults(results)}\n\nRatios are theirs / ours by medians: above 1 we are faster.`);
if (options.write) writeResults(results);
for (const contender of engines) await contender.dispose();
process.exit();
