/** The data sets of the lab: one that comes with it, and those that were brought. */
import { type ImageDataset, packDataset, unpackDataset } from "../../diffusion/data/index.ts";
import { EvenkeelError, messageOf } from "../../engine/index.ts";
import { readWhole } from "../../engine/io/index.ts";
import emojiAddress from "virtual:evenkeel/emoji16";
import { plainDatasetName } from "./datasetName.ts";
import type { DatasetFacts, Datasets } from "./messages.ts";
import { datasetFolder } from "./storage.ts";

/** What comes with the page, by the name that the command knows, too. */
const bundled: ReadonlyMap<string, string> = new Map([["emoji16", emojiAddress]]);

const ending = ".pack";

/** Read already: a worker asks for the same again and again. */
const read = new Map<string, Promise<ImageDataset>>();

/** @throws EvenkeelError `file` if there is none of this name, or it can't be read. */
export function openDataset(data: string): Promise<ImageDataset> {
  const name = plainDatasetName(data);
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
      `The browser has no data set ${name}. Bring it in Train ("Bring your own images"), and keep it as ${name}.`,
    );
  }
  return unpackDataset(await readWhole(file), name);
}

/** Keeps a data set in the browser, under its name. @throws EvenkeelError `value` for a name that can't be, `file` if there is no space. */
export async function keepDataset(dataset: ImageDataset): Promise<DatasetFacts> {
  const { name } = dataset;
  if (bundled.has(name)) {
    throw new EvenkeelError(
      "value",
      `${name} is the name of the data set that comes with the page. Choose another one.`,
    );
  }
  if (name !== plainDatasetName(name)) {
    throw new EvenkeelError("value", `${name} can't be a name here, ${plainDatasetName(name)} can.`);
  }
  const bytes = await packDataset(dataset);
  await (await datasetFolder()).file(name + ending).write((sink) => sink.write(bytes));
  read.delete(name);
  return factsOf(dataset);
}

export async function removeDataset(name: string): Promise<void> {
  await (await datasetFolder()).file(name + ending).remove();
  read.delete(name);
}

/** The names of those that were brought. */
export async function keptDatasets(): Promise<readonly string[]> {
  return (await (await datasetFolder()).list())
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length));
}

/** The bytes that one takes which was brought. */
export async function keptBytes(name: string): Promise<number> {
  const file = await (await datasetFolder()).file(name + ending).open();
  await file.close();
  return file.size;
}

/** All there are, the bundled ones first. One that can't be read doesn't hide the others. */
export async function listDatasets(): Promise<Datasets> {
  const datasets: DatasetFacts[] = [];
  const problems: string[] = [];
  for (const name of [...bundled.keys(), ...(await keptDatasets())]) {
    await openDataset(name).then(
      (dataset) => datasets.push(factsOf(dataset)),
      (reason: unknown) => problems.push(`The data set ${name} can't be read: ${messageOf(reason)}`),
    );
  }
  return { datasets, problems };
}

function factsOf({ name, count, resolution, channels, classNames }: ImageDataset): DatasetFacts {
  return { name, count, resolution, channels, classNames, isBundled: bundled.has(name) };
}
