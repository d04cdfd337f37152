import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { summarize } from "../interleave.ts";
import { startTorch, torchName } from "../peers/torch.ts";
import type { Row } from "../row.ts";
import { namedNets } from "./networks.ts";
import { torchTraining } from "./training.ts";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** The child as plain JavaScript: a package's user has no TypeScript loader in the process either. */
async function buildChild(): Promise<string> {
  const folder = here("../../node_modules/.cache/evenkeel-bench");
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: [here("../child.ts")],
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    logLevel: "error",
  });
  return `${folder}/child.mjs`;
}

async function runChild(child: string, ...args: readonly string[]): Promise<Readonly<Record<string, number>>> {
  const { stdout } = await promisify(execFile)(process.execPath, [child, ...args]);
  return JSON.parse(stdout) as Readonly<Record<string, number>>;
}

/** Time to trace, derive, optimize and compile a net's training step: in a new process, and once more in the same. */
export async function measureCompile(group: string, name: string, repeats: number): Promise<Row[]> {
  const child = await buildChild();
  const [cold, again]: [number[], number[]] = [[], []];
  for (let i = 0; i < repeats; i++) {
    const times = await runChild(child, "compile", name);
    cold.push(times["cold"] ?? NaN);
    again.push(times["again"] ?? NaN);
  }
  const row = (when: string, samples: readonly number[]): Row => ({
    group,
    name: `compile step (${name}), ${when}`,
    measure: "seconds",
    measurements: [summarize("evenkeel wasm", samples)],
    absent: [],
  });
  return [row("new process", cold), row("same process again", again)];
}

/** The largest resident set of a process that makes `steps` training steps of a net and nothing else: ours and theirs in turns. */
export async function measureMemory(group: string, name: string, repeats: number, steps: number): Promise<Row> {
  const child = await buildChild();
  const net = namedNets[name]?.();
  if (net === undefined) throw new Error(`no net ${name}`);
  const [ours, theirs]: [number[], number[]] = [[], []];
  const absent: { contender: string; reason: string }[] = [];
  for (let i = 0; i < repeats; i++) {
    ours.push((await runChild(child, "memory", name, String(steps)))["bytes"] ?? NaN);
    const peer = await startTorch(2);
    if ("missing" in peer) {
      if (i === 0) absent.push({ contender: torchName, reason: peer.missing });
      continue;
    }
    const training = await peer.process.prepare({ work: torchTraining(net) });
    await training.measure(steps);
    theirs.push((await peer.process.ask({ do: "peakMemory" }))["bytes"] as number);
    await peer.process.dispose();
  }
  const measurements = [summarize("evenkeel wasm", ours)];
  if (theirs.length > 0) measurements.push(summarize(torchName, theirs));
  return { group, name: `peak memory of ${steps} steps (${name})`, measure: "bytes", measurements, absent };
}
