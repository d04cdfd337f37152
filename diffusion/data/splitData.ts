import { selectImages, type TrainingDataset } from "./dataset.ts";
import { splitIndices } from "./order.ts";

/**
 * A set to train on and, if any are held out, one to validate on.
 * @example
 * ```ts
 * const options = { name: "ten", channels: 1, resolution: 1, pixels: Uint8Array.from({ length: 10 }, (_, i) => i), labels: null, classNames: null };
 * const { training, validation } = splitData(createDataset(options), 2, 0);
 * console.log(training.count, validation?.count); // 8 2
 * ```
 */
export function splitData<D extends TrainingDataset>(
  dataset: D,
  heldOut: number,
  seed: number,
): { readonly training: D; readonly validation: D | null } {
  if (heldOut === 0) return { training: dataset, validation: null };
  const classes = dataset.labels?.kind === "classes" ? dataset.labels.values : null;
  const parts = splitIndices(dataset.count, heldOut, seed, classes);
  return { training: selectImages(dataset, parts.training), validation: selectImages(dataset, parts.heldOut) };
}
