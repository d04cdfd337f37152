import { readFileSync, writeFileSync } from "node:fs";

/** Whether the system tells the most memory that a process had since it was last asked to forget. */
export const knowsPeakMemory = process.platform === "linux";

/** What a task gives, and the most bytes of memory that the process had meanwhile beyond those at its start. */
export async function peakMemory<T>(
  task: () => Promise<T> | T,
): Promise<{ readonly result: T; readonly bytes: number }> {
  forgetPeak();
  const before = process.memoryUsage.rss();
  const result = await task();
  return { result, bytes: peak() - before };
}

/** From now on `peak` counts anew. */
export function forgetPeak(): void {
  writeFileSync("/proc/self/clear_refs", "5");
}

/** The most bytes of memory that the process had since `forgetPeak`. */
export function peak(): number {
  const [, kibibytes = "0"] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}
