import type { ImageDataset } from "./dataset.ts";

/**
 * Labels that images of a data set have, where these aren't simply all classes: the classes that have images, or the label vectors of
 * some images. What a network is asked for without a wish is drawn from them, as it knows no others.
 */
export type SeenLabels =
  | { readonly kind: "classes"; readonly values: readonly number[] }
  | { readonly kind: "vectors"; readonly values: readonly (readonly number[])[] };

/** Label vectors that are kept at most, and numbers in all of them. */
const [keptVectors, keptNumbers] = [256, 65_536];

/**
 * The labels of a data set's images; null where every class has images, or nothing has a label.
 * @example
 * ```ts
 * const labels = checkedLabels({ name: "three", count: 3, labels: [0, 2, 0], classNames: null });
 * console.log(seenLabels({ labels, count: 3 })); // { kind: 'classes', values: [ 0, 2 ] }
 * ```
 */
export function seenLabels({ labels, count }: Pick<ImageDataset, "labels" | "count">): SeenLabels | null {
  if (labels === null) return null;
  const { labelDim, values } = labels;
  if (labels.kind === "classes") {
    const seen = new Set(values);
    return seen.size === labelDim ? null : { kind: "classes", values: [...seen].sort((a, b) => a - b) };
  }
  const kept = Math.min(count, keptVectors, Math.max(1, Math.floor(keptNumbers / labelDim)));
  return {
    kind: "vectors",
    values: Array.from({ length: kept }, (_, i) => {
      const from = Math.floor((i * count) / kept) * labelDim;
      // Nine digits are all that a float32 has.
      return Array.from(values.subarray(from, from + labelDim), (value) => Number(value.toPrecision(9)));
    }),
  };
}
