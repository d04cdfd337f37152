import os from "node:os";

/** The machine that results are of: processor, cores, memory, Node. */
export function machineText(): string {
  const memory = (os.totalmem() / 2 ** 30).toFixed(0);
  return `${os.cpus()[0]?.model ?? "unknown CPU"}, ${os.availableParallelism()} cores, ${memory} GiB, Node ${process.version}`;
}
