/** One file given to one reader, and what must hold then. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EvenkeelError } from "../../engine/index.ts";
import { forgetPeak, knowsPeakMemory, peak } from "../support/peakMemory.ts";
import type { Target } from "./target.ts";

/** What a reader did wrong with a file. */
export type Finding = { readonly kind: "error" | "message" | "memory" | "time" | "descriptors"; readonly what: string };

export type Outcome = "read" | "refused" | Finding;

/** A reader may take so much whatever it reads, and of memory so many times what the file has and rightly unpacks to. */
export const limits = { seconds: 2, secondsPerMebibyte: 2, bytes: 96 * 2 ** 20, timesFile: 12, message: 4000 };

/** Letters that are orders to a terminal. */
const orders = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

/** Gives a file to a reader. What takes too long or too much is tried again, as other work may have been in the way. */
export async function attempt(target: Target, file: Uint8Array): Promise<Outcome> {
  const first = await attemptOnce(target, file);
  if (typeof first === "string" || first.kind === "error" || first.kind === "message") return first;
  globalThis.gc?.();
  const again = await attemptOnce(target, file);
  return again === "read" || again === "refused" ? again : first;
}

async function attemptOnce(target: Target, file: Uint8Array): Promise<Outcome> {
  let made: string | undefined;
  const folder = (): string => (made ??= mkdtempSync(join(tmpdir(), "evenkeel-fuzz-")));
  try {
    const descriptors = openDescriptors();
    if (knowsPeakMemory) forgetPeak();
    const [memory, start] = [process.memoryUsage.rss(), process.cpuUsage()];
    let [rightBytes, outcome]: [number, Outcome] = [0, "read"];
    try {
      rightBytes = await target.read(file, folder);
    } catch (reason) {
      outcome = judgeRefusal(reason, made ?? tmpdir());
    }
    const { user, system } = process.cpuUsage(start);
    if (typeof outcome !== "string") return outcome;
    // Memory first: to fill much of it takes long, too, on a slow machine.
    const taken = knowsPeakMemory ? peak() - memory : 0;
    if (taken > limits.bytes + limits.timesFile * (file.length + rightBytes)) {
      return { kind: "memory", what: `${Math.round(taken / 2 ** 20)} MiB for ${file.length} bytes` };
    }
    const seconds = (user + system) / 1e6;
    const mebibytes = (file.length + rightBytes) / 2 ** 20;
    if (seconds > limits.seconds + limits.secondsPerMebibyte * mebibytes) {
      return { kind: "time", what: `${seconds.toFixed(1)} s of CPU` };
    }
    if (openDescriptors() > descriptors) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const left = openDescriptors() - descriptors;
      if (left > 0) return { kind: "descriptors", what: `${left} left open` };
    }
    return outcome;
  } finally {
    if (made !== undefined) rmSync(made, { recursive: true, force: true });
  }
}

function judgeRefusal(reason: unknown, folder: string): Outcome {
  if (!(reason instanceof EvenkeelError)) {
    return { kind: "error", what: reason instanceof Error ? (reason.stack ?? reason.message) : String(reason) };
  }
  const message = reason.message.replaceAll(folder, "");
  if (message.length > limits.message)
    return { kind: "message", what: `${message.length} characters: ${message.slice(0, 300)}` };
  if (orders.test(message)) return { kind: "message", what: `orders to the terminal: ${JSON.stringify(message)}` };
  return "refused";
}

function openDescriptors(): number {
  return knowsPeakMemory ? readdirSync("/proc/self/fd").length : 0;
}
