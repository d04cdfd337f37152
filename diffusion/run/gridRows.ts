import type { SeenLabels } from "../data/index.ts";
import type { ImageLabel } from "../sample/index.ts";

/** Rows of a grid at most, however many classes there are. */
export const maximumRows = 10;

/**
 * The labels that a grid shows, a row for each: all classes that have images or some of them, evenly spread; of label vectors some that
 * images have; `columns` rows of none where there are no labels.
 * @example console.log(gridRows(20, null, 8)); // [ 0, 2, 4, 6, 8, 10, 12, 14, 16, 18 ]
 */
export function gridRows(labelDim: number, seen: SeenLabels | null, columns: number): readonly ImageLabel[] {
  if (labelDim === 0) return Array.from({ length: columns }, () => null);
  const values: readonly ImageLabel[] | null =
    seen?.kind === "vectors" ? distinct(seen.values) : (seen?.values ?? null);
  const count = values?.length ?? labelDim;
  const rows = Math.min(count, maximumRows);
  return Array.from({ length: rows }, (_, row) => {
    const index = Math.floor((row * count) / rows);
    return values === null ? index : (values[index] ?? null);
  });
}

function distinct(vectors: readonly (readonly number[])[]): readonly (readonly number[])[] {
  return [...new Map(vectors.map((vector) => [vector.join(), vector])).values()];
}
