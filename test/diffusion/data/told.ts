import { describeNotice, type ImageDataset, Notices } from "../../../diffusion/data/index.ts";
import { convertDataset, type ConvertOptions, openDataset } from "../../../diffusion/data/node.ts";

/** A data set and what was told of how it was read, a line a kind. */
export type Told = { readonly dataset: ImageDataset; readonly told: readonly string[] };

async function toldBy(task: (notices: Notices) => Promise<ImageDataset>): Promise<Told> {
  const notices = new Notices();
  const dataset = await task(notices);
  return { dataset, told: notices.list.map(describeNotice) };
}

export async function open(source: string): Promise<Told> {
  return toldBy((notices) => openDataset(source, { notices }));
}

export async function convert(source: string, resolution: number, more: Partial<ConvertOptions> = {}): Promise<Told> {
  const options = { source, resolution, transform: "contain", greyscale: false, background: "#ffffff" } as const;
  return toldBy((notices) => convertDataset({ ...options, ...more, notices }));
}

/** The count, and the classes with and without names. */
export function classesOf({ dataset: { count, classNames, labels } }: Told): readonly unknown[] {
  return [count, classNames, [...(labels?.values ?? [])]];
}
