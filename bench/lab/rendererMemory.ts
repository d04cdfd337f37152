import { readdirSync, readFileSync } from "node:fs";

/** Bytes of memory that the pages of browsers take which this process started; undefined where there is no /proc to tell. */
export function rendererMemory(): number | undefined {
  let names: readonly string[];
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return undefined;
  }
  const processes = new Map<
    number,
    { readonly parent: number; readonly isRenderer: boolean; readonly bytes: number }
  >();
  for (const name of names) {
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      const numberOf = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
      const isRenderer = readFileSync(`/proc/${name}/cmdline`, "utf8").includes("--type=renderer");
      processes.set(Number(name), { parent: numberOf("PPid"), isRenderer, bytes: 1024 * numberOf("VmRSS") });
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOurs = (id: number): boolean => id === process.pid || (id > 1 && isOurs(processes.get(id)?.parent ?? 0));
  let sum = 0;
  for (const [id, { isRenderer, bytes }] of processes) if (isRenderer && isOurs(id)) sum += bytes;
  return sum;
}
