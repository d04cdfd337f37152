/** Keeping images that were brought or drawn, as a data set of the lab. */
import type { Remote } from "comlink";
import { readDatasets, say } from "../state/lab.ts";
import { study } from "../state/workers.ts";
import type { Bringing } from "../worker/bringing.ts";
import { plainDatasetName } from "../worker/datasetName.ts";

let own: Promise<Remote<Bringing>> | undefined;

/** Who reads images, in the worker. */
export function bringer(): Promise<Remote<Bringing>> {
  // The assertion: what is handed out as a proxy arrives as one.
  return (own ??= study().bringing() as Promise<Remote<Bringing>>);
}

/** Keeps what was read or drawn last, and chooses it. @param told what is to be said of it. */
export async function keepBrought(
  wanted: string,
  told: readonly string[],
  take: (name: string) => void,
): Promise<void> {
  const worker = await bringer();
  const { name, count } = await worker.keep(plainDatasetName(wanted.trim()));
  await readDatasets();
  for (const line of told) say("note", line);
  say("note", `${name} is kept in this browser: ${count.toLocaleString("en")} images, chosen to train on.`);
  take(name);
}
