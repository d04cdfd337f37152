/** Runs of `evenkeel train` that take seconds: 48 pictures of 8x8 pixels, some thousand weights, one thread. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CommanderError } from "@commander-js/extra-typings";
import { createProgram } from "../../../cli/program.ts";
import { reportFailure } from "../../../cli/reportFailure.ts";
import { createDataset } from "../../../diffusion/data/index.ts";
import { writeDataset } from "../../../diffusion/data/node.ts";
import { bundledCli } from "../../support/bundledProgram.ts";

/** Options of the smallest network. */
export const network = [
  ...["--channels", "4", "--channel-mult", "1", "--blocks", "1", "--attn-resolutions", "none"],
  ...["--channels-per-head", "4"],
];

/** Options of a run of 300 steps. */
export const run = [
  ...["--preset", "smoke", ...network, "--batch", "8", "--duration", "2400", "--holdout", "8"],
  ...["--status", "200", "--checkpoint", "400", "--samples", "1200", "--validation", "1200", "--snapshot", "1000"],
  ...["--device", "wasm", "--threads", "1"],
];

/** Writes pictures of waves in three classes, or in none. */
export async function writePictures(path: string, labels: boolean, phase = 0): Promise<void> {
  const count = 48;
  const pixels = Uint8Array.from({ length: count * 192 }, (_, i) => {
    const [image, channel, y, x] = [Math.floor(i / 192), Math.floor(i / 64) % 3, Math.floor(i / 8) % 8, i % 8];
    return Math.round(127 + 100 * Math.sin(image + channel + phase + (image % 3) * x + y));
  });
  const classes = { labels: Array.from({ length: count }, (_, i) => i % 3), classNames: ["a", "b", "c"] };
  const data = { name: "waves", channels: 3, resolution: 8, pixels } as const;
  await writeDataset(path, createDataset(labels ? { ...data, ...classes } : data));
}

export type Ending = { readonly code: number | null; readonly out: string; readonly err: string };

type ProcessOptions = {
  /** A signal to send when the output has this. */
  readonly stop?: readonly [when: RegExp, signal: NodeJS.Signals];
  /** The largest file that the process may write, in kilobytes. */
  readonly fileLimit?: number;
  /** Beside this process's own environment. */
  readonly environment?: Readonly<Record<string, string>>;
};

/** Runs the command as a process. */
export async function evenkeelProcess(
  args: readonly string[],
  { stop, fileLimit, environment }: ProcessOptions = {},
): Promise<Ending> {
  const words = [process.execPath, await bundledCli(), ...args];
  // A shell's limit counts blocks of 512 bytes. Node ignores the signal, so that a write beyond it fails.
  const limited = ["sh", "-c", `ulimit -f ${2 * (fileLimit ?? 0)}; exec "$@"`, "sh", ...words];
  const [program = "", ...rest] = fileLimit === undefined ? words : limited;
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    let [out, err, signalled] = ["", "", false];
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (stop === undefined || signalled || !stop[0].test(out)) return;
      signalled = true;
      child.kill(stop[1]);
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** Runs the command in this process: for what fails before it trains. Prints nothing. */
export async function evenkeel(args: readonly string[]): Promise<Ending> {
  const lines: Record<"out" | "err", string[]> = { out: [], err: [] };
  const program = createProgram();
  const output = {
    writeOut: (text: string) => void lines.out.push(text),
    writeErr: (text: string) => void lines.err.push(text),
  };
  for (const each of [program, ...program.commands]) each.configureOutput(output);
  const { log, error } = console;
  console.log = (text: string) => void lines.out.push(`${text}\n`);
  console.error = (text: string) => void lines.err.push(`${text}\n`);
  let code: number = 0;
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (reason) {
    if (!(reason instanceof CommanderError) && !(reason instanceof Error)) throw reason;
    code = reportFailure(reason, (text) => lines.err.push(`${text}\n`), false);
  } finally {
    console.log = log;
    console.error = error;
  }
  return { code, out: lines.out.join(""), err: lines.err.join("") };
}

/** Hashes of a folder's files by name. */
export async function everything(folder: string): Promise<Map<string, string>> {
  return hashesOf(folder, /./);
}

/** Of what a run has trained and drawn; of checkpoints without what they say of times. */
export async function trained(folder: string): Promise<Map<string, string>> {
  return hashesOf(folder, /\.(safetensors|png)$/);
}

async function hashesOf(folder: string, pattern: RegExp): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const name of (await readdir(folder)).sort()) {
    if (!pattern.test(name)) continue;
    const bytes = await readFile(join(folder, name));
    const hash = createHash("sha256");
    if (name.startsWith("training-state")) {
      const start = 8 + Number(bytes.readBigUInt64LE());
      const { __metadata__: _, ...arrays } = JSON.parse(bytes.toString("utf8", 8, start)) as Record<string, unknown>;
      hash.update(JSON.stringify(arrays)).update(bytes.subarray(start));
    } else hash.update(bytes);
    hashes.set(name, hash.digest("hex"));
  }
  return hashes;
}

/** Lines of `stats.jsonl` without what differs from run to run: times and memory. */
export async function statsOf(folder: string): Promise<Record<string, unknown>[]> {
  const lines = (await readFile(join(folder, "stats.jsonl"), "utf8")).trimEnd().split("\n");
  return lines.map((line) => {
    const entries = Object.entries(JSON.parse(line) as Record<string, unknown>);
    return Object.fromEntries(entries.filter(([name]) => !/^(Timing\/|Resources\/|timestamp$)/.test(name)));
  });
}
