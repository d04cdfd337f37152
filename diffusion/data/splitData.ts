import { selectImages, type TrainingDataset } from "./dataset.ts";
import { splitIndices } from "./order.ts";

/** A set to train on and, if any are held out, one to validate on. */
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
