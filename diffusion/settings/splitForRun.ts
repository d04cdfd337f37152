import { splitData, type TrainingDataset } from "../data/index.ts";
import type { PlannedSettings } from "./settings.ts";

/**
 * The images that a run trains on, and those that its settings hold out: by a seed of their own if there is one, so that runs of several
 * seeds are measured on the same images.
 * @example
 * ```ts
 * import { createDataset } from "evenkeel/diffusion";
 *
 * const settings = completePlan([{ from: "here", values: { preset: "emoji16", data: "ten", holdout: 2 } }]);
 * const options = { name: "ten", channels: 1, resolution: 1, pixels: Uint8Array.from({ length: 10 }, (_, i) => i), labels: null, classNames: null };
 * console.log(splitForRun(createDataset(options), settings).training.count); // 8
 * ```
 */
export function splitForRun<D extends TrainingDataset>(
  dataset: D,
  settings: PlannedSettings,
): { readonly training: D; readonly validation: D | null } {
  return splitData(dataset, settings.holdout, settings["holdout-seed"] ?? settings.seed);
}
