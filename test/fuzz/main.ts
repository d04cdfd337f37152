/**
 * `npm run fuzz -- --minutes 10`: gives all readers of files damaged ones until the time is over, and ends with 1 if one of them fails,
 * hangs, takes too much or reads something wrong. `--seed S` makes the files others, `--only NAME` reads with one reader.
 * Findings are shrunk and saved; those that are mended belong into `corpus`, which `npm test` reads.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { caseOf } from "./cases.ts";
import { targets } from "./targets/index.ts";
import type { Progress, Work } from "./worker.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    found: { type: "string" },
  },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
const only = values.only ?? null;
if (!(minutes > 0) || !Number.isSafeInteger(seed) || (only !== null && targets.every(({ name }) => name !== only))) {
  console.error(
    `npm run fuzz -- --minutes 10 --seed 1 --only NAME, NAME one of ${targets.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}

/** A file on which the reader computes longer than this is a finding by itself. */
const hangSeconds = 20;

const scratch = mkdtempSync(join(tmpdir(), "evenkeel-fuzzing-"));
const found = values.found ?? join(tmpdir(), "evenkeel-fuzz-found");
const until = Date.now() + minutes * 60_000;
const total: { counts: Record<string, number>; refused: Record<string, number>; findings: string[] } = {
  counts: {},
  refused: {},
  findings: [],
};

/** CPU seconds of a process so far. */
function cpuSeconds({ pid }: ChildProcess): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

/** Runs a worker until its time is over or it ends; gives how it ended, null if as it should. */
async function runWorker(current: string): Promise<string | null> {
  const worker = fork(join(import.meta.dirname, "worker.ts"), {
    execArgv: [...process.execArgv, "--expose-gc", "--max-old-space-size=1024"],
  });
  const work: Work = { seed, until, only, current, found, counts: total.counts };
  worker.send(work);
  let latest: Progress = { counts: {}, refused: {}, findings: [] };
  worker.on("message", (message) => {
    latest = message as Progress;
  });
  let [before, since]: [string, number] = ["", 0];
  let problem: string | undefined;
  const watch = setInterval(() => {
    const now = currentCase(current);
    const cpu = cpuSeconds(worker);
    if (now !== before) [before, since] = [now, cpu];
    else if (cpu - since > hangSeconds) {
      problem = `computes more than ${hangSeconds} s`;
      worker.kill("SIGKILL");
    }
  }, 1000);
  const ending = await new Promise<string>((resolve) =>
    worker.on("exit", (code, signal) => resolve(String(signal ?? code))),
  );
  clearInterval(watch);
  Object.assign(total.counts, latest.counts);
  for (const [name, count] of Object.entries(latest.refused)) total.refused[name] = (total.refused[name] ?? 0) + count;
  total.findings.push(...latest.findings);
  return ending === "0" ? null : (problem ?? `the process ended with ${ending}`);
}

function currentCase(current: string): string {
  try {
    return readFileSync(current, "latin1").trim();
  } catch {
    return "";
  }
}

for (let workers = 0; Date.now() < until && workers < 50; workers++) {
  const current = join(scratch, `case${workers}`);
  const ending = await runWorker(current);
  if (ending === null) break;
  const [name = "", number = "0"] = currentCase(current).split(" ");
  const target = targets.find((each) => each.name === name);
  if (target === undefined) {
    total.findings.push(ending);
    break;
  }
  const file = caseOf(target, await target.samples(), seed, Number(number));
  const path = join(found, `${name}-case${number}`);
  mkdirSync(found, { recursive: true });
  writeFileSync(path, file);
  total.findings.push(`${name} ${number}: ${ending}\n  ${file.length} bytes in ${path}`);
  total.counts[name] = Number(number) + 1;
}
rmSync(scratch, { recursive: true, force: true });

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);
for (const { name } of targets) {
  const count = total.counts[name];
  if (count !== undefined)
    console.log(`${name.padEnd(16)} ${String(count).padStart(9)} files, ${total.refused[name] ?? 0} refused`);
}
console.log(`${sum(total.counts).toLocaleString("en")} files, seed ${seed}: ${total.findings.length} findings`);
for (const finding of total.findings) console.error(finding);
process.exitCode = total.findings.length === 0 ? 0 : 1;
