import assert from "node:assert/strict";
import type { FileSource } from "../../../diffusion/data/files/fileSource.ts";
import { type Labels, readLabels } from "../../../diffusion/data/files/labels.ts";
import { describeNotice, type Notice, Notices } from "../../../diffusion/data/index.ts";

/** A source of images and of texts, in memory. */
function sourceOf(images: readonly string[], texts: Readonly<Record<string, string>> = {}): FileSource {
  return {
    name: "data",
    files: [...images, ...Object.keys(texts)].sort(),
    wanted: null,
    nameOf: (file) => `data/${file}`,
    read: async (file) => new TextEncoder().encode(texts[file] ?? assert.fail(`read ${file}`)),
    head: async () => new Uint8Array(),
    close: async () => undefined,
  };
}

export type Told = Labels & { readonly notices: readonly Notice[]; readonly told: readonly string[] };

/** The labels of images beside texts such as `dataset.json`, and what is told. */
export async function read(images: readonly string[], texts: Readonly<Record<string, string>> = {}): Promise<Told> {
  const notices = new Notices();
  const labels = await readLabels(sourceOf(images, texts), [...images].sort(), notices);
  return { ...labels, notices: notices.list, told: notices.list.map(describeNotice) };
}

/** A `dataset.json`. */
export const described = (labels: unknown, more: object = {}): Record<string, string> => ({
  "dataset.json": JSON.stringify({ labels, ...more }),
});

/** What each kept image shows: a class by name, or its label. */
export function meanings({ images, labels, classNames }: Labels): Record<string, unknown> {
  return Object.fromEntries(
    images.map((image, i) => {
      const label = labels?.[i] ?? null;
      return [image, typeof label === "number" ? (classNames?.[label] ?? label) : label];
    }),
  );
}
