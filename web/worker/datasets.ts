/** The data sets of the lab: one that comes with it, and those that were brought. */
import { type ImageDataset, unpackDataset } from "../../diffusion/data/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { readWhole } from "../../engine/io/index.ts";
import emojiAddress from "virtual:evenkeel/emoji16";
import type { DatasetFacts } from "./messages.ts";
import { datasetFolder } from "./storage.ts";

/** What comes with the page, by the name that the command knows, too. */
const bundled: ReadonlyMap<string, string> = new Map([["emoji16", emojiAddress]]);

const ending = ".pack";

/** Read already: a worker asks for the same again and again. */
const read = new Map<string, Promise<ImageDataset>>();

/** @throws EvenkeelError `file` if there is none of this name, or it can't be read. */
export function openDataset(name: string): Promise<ImageDataset> {
  const known = read.get(name);
  if (known !== undefined) return known;
  const opened = openAnew(name);
  read.set(name, opened);
  opened.catch(() => read.delete(name));
  return opened;
}

async function openAnew(name: string): Promise<ImageDataset> {
  const address = bundled.get(name);
  if (address !== undefined) {
    const response = await fetch(address);
    if (!response.ok)
      throw new EvenkeelError("file", `${name} can't be had from where the page came from: ${response.status}.`);
    return unpackDataset(new Uint8Array(await response.arrayBuffer()), name);
  }
  const file = (await datasetFolder()).file(name + ending);
  if (!(await file.exists())) {
    throw new EvenkeelError(
      "file",
      `The browser has no data set ${name}. Drop its files on the page, under the same name.`,
    );
  }
  return unpackDataset(await readWhole(file), name);
}

/** Keeps a data set in the browser, under its name. */
export async function keepDataset(name: string, bytes: Uint8Array): Promise<void> {
  await (await datasetFolder()).file(name + ending).write((sink) => sink.write(bytes));
  read.delete(name);
}

export async function removeDataset(name: string): Promise<void> {
  await (await datasetFolder()).file(name + ending).remove();
  read.delete(name);
}

/** All there are, the bundled ones first. */
export async function listDatasets(): Promise<readonly DatasetFacts[]> {
  const kept = (await (await datasetFolder()).list())
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length));
  const facts: DatasetFacts[] = [];
  for (const name of [...bundled.keys(), ...kept]) {
    const { count, resolution, channels, classNames } = await openDataset(name);
    facts.push({ name, count, resolution, channels, classNames, isBundled: bundled.has(name) });
  }
  return facts;
}
