/** Runs a command of the program as a process, kills it at random instants, and starts it again, until it has been killed often enough and ends. */
import { spawn } from "node:child_process";
import { bundledCli } from "./bundledProgram.ts";

/** How a process ended, what it said, and after how many milliseconds. */
export type Ended = {
  readonly isKilled: boolean;
  readonly output: string;
  readonly milliseconds: number;
};

/** Runs the command once; kills it after so many milliseconds, if it still lives then. @throws if it fails by itself. */
export async function runUntil(args: readonly string[], milliseconds = Infinity): Promise<Ended> {
  const command = await bundledCli();
  return new Promise((resolve, reject) => {
    // What is compiled to be faster is done before that pays.
    const child = spawn(process.execPath, ["--no-opt", command, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const begin = performance.now();
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const timer = Number.isFinite(milliseconds) ? setTimeout(() => child.kill("SIGKILL"), milliseconds) : undefined;
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (signal !== "SIGKILL" && code !== 0) reject(new Error(`exit code ${code}: ${output}`));
      else resolve({ isKilled: signal === "SIGKILL", output, milliseconds: performance.now() - begin });
    });
  });
}

export type KillOptions = {
  readonly times: number;
  /** Of the random instants. */
  readonly seed: number;
  /** Milliseconds within which a process is killed. */
  readonly within: number;
  /** Undoes the work, for when it ends before it has been killed often enough. */
  readonly restart: () => Promise<void>;
};

/** Kills the command so many times, then lets it end. @returns what it said at last */
export async function killRepeatedly(
  args: readonly string[],
  { times, seed, within, restart }: KillOptions,
): Promise<string> {
  let state = seed;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  let kills = 0;
  for (;;) {
    const { isKilled, output } = await runUntil(args, kills < times ? random() * within : Infinity);
    if (isKilled) kills += 1;
    else if (kills === times) return output;
    else await restart();
  }
}
