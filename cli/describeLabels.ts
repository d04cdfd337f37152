import { classCounts, type ImageDataset } from "../diffusion/data/index.ts";
import { printable } from "../engine/index.ts";
import { describeClasses } from "../diffusion/sample/index.ts";

/** The labels of a data set in a few words: `no labels`, `label vectors of 2 numbers`, `3 classes: cats (0), dogs (1), mice (2)`. */
export function describeLabels(
  { labels, classNames }: Pick<ImageDataset, "labels" | "classNames">,
  names = false,
): string {
  if (labels === null) return "no labels";
  const { kind, labelDim } = labels;
  if (kind === "vectors") return `label vectors of ${labelDim} ${labelDim === 1 ? "number" : "numbers"}`;
  const count = `${labelDim} ${labelDim === 1 ? "class" : "classes"}`;
  if (!names || classNames === null) return count;
  return `${count}: ${describeClasses(
    classNames.map((_, label) => label),
    classNames,
  )}`;
}

/** Lines of a table at most. */
const maximumLines = 60;

/** Classes that have images, a line each with number, images and name; of many the first, and how many more there are. */
export function classTable({ labels, classNames }: Pick<ImageDataset, "labels" | "classNames">): readonly string[] {
  const rows = classRows({ labels, classNames });
  const lines = rows.slice(0, maximumLines).map(({ label, images, name }) => {
    return `  ${String(label).padStart(4)}  ${String(images).padStart(7)}  ${name === null ? "" : printable(name)}`.trimEnd();
  });
  const rest = rows.slice(maximumLines);
  if (rest.length === 0) return lines;
  const images = rest.reduce((sum, row) => sum + row.images, 0);
  return [...lines, `   ...  ${String(images).padStart(7)}  in ${rest.length} more classes`];
}

export type ClassRow = { readonly label: number; readonly name: string | null; readonly images: number };

/** The classes that have images, by their numbers. */
export function classRows({ labels, classNames }: Pick<ImageDataset, "labels" | "classNames">): readonly ClassRow[] {
  return [...classCounts({ labels })]
    .sort(([a], [b]) => a - b)
    .map(([label, images]) => ({ label, name: classNames?.[label] ?? null, images }));
}
