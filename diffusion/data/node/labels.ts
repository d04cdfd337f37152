import { z } from "zod";
import { describeIssues, EvenkeelError } from "../../../engine/index.ts";
import type { FileSource } from "./imageSource.ts";
import type { Notices } from "./notices.ts";

const descriptionSchema = z.looseObject({
  labels: z
    .array(z.tuple([z.string(), z.union([z.number(), z.array(z.number())])]))
    .nullable()
    .optional(),
  classNames: z.array(z.string()).optional(),
});

/** Labels in the order of the images. */
export type Labels = { readonly labels: number[] | number[][] | null; readonly classNames: readonly string[] | null };

/**
 * The labels of images: of `dataset.json`, as the reference has it (`{"labels": [["00000/img00000000.png", 6], ...]}` or null), or of the
 * top-level folders, if there are two or more.
 * @throws EvenkeelError `file` if `dataset.json` is damaged, has no label, or two, for an image, or names images that are missing.
 */
export async function readLabels(source: FileSource, images: readonly string[], _notices: Notices): Promise<Labels> {
  if (source.files.includes("dataset.json")) return parseLabels(await source.read("dataset.json"), source.name, images);
  const folderOf = (file: string): string => file.slice(0, Math.max(file.indexOf("/"), 0));
  const folders = [...new Set(images.map(folderOf))].sort();
  if (folders.length < 2 || folders.includes("")) return { labels: null, classNames: null };
  const numbers = new Map(folders.map((folder, i) => [folder, i]));
  return { labels: images.map((file) => numbers.get(folderOf(file)) ?? 0), classNames: folders };
}

function parseLabels(bytes: Uint8Array, name: string, images: readonly string[]): Labels {
  const fail = (problem: string, cause?: unknown): never => {
    throw new EvenkeelError("file", `${name}: dataset.json ${problem}`, { cause });
  };
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    return fail("is not JSON.", cause);
  }
  const checked = descriptionSchema.safeParse(json);
  if (!checked.success) return fail(`is damaged: ${describeIssues(checked.error)}`);
  const { labels, classNames = null } = checked.data;
  if (labels === null || labels === undefined) return { labels: null, classNames };
  const byFile = new Map(labels);
  if (byFile.size !== labels.length) fail("has two labels for an image.");
  const there = new Set(images);
  const missing = labels.filter(([file]) => !there.has(file));
  if (missing.length > 0)
    fail(`has labels for ${missing.length} images that aren't there, the first ${missing[0]?.[0]}.`);
  const ordered = images.map((file) => byFile.get(file) ?? fail(`has no label for ${file}.`));
  // Whether all are of one kind is checked where the data set is made.
  return { labels: ordered as number[] | number[][], classNames };
}
