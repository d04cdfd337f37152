import { seenLabels, type TrainingDataset } from "../data/index.ts";
import type { TrainingOptions } from "../training/index.ts";
import { gridRows } from "./gridRows.ts";
import { gridCost, type GridLayout, gridScale } from "./sampleGrid.ts";

/** Images of a row. */
const columns = 8;

/** Steps of sampling for the grids drawn while training, and for those at the end. */
export const gridSteps = { training: 16, final: 32 } as const;

/**
 * What the grids of a run on these images show, in so many steps, or two of a network that is tuned to be consistent.
 * @example
 * ```ts
 * import { createDataset } from "evenkeel/diffusion";
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 16, pixels: new Uint8Array(512), labels: [0, 1], classNames: ["a", "b"] });
 * const network = configurationNetwork("G", { imageResolution: 16, imageChannels: 1, labelDim: 2 });
 * console.log(gridLayout({ network }, dataset, gridSteps.training)); // { rows: [ 0, 1 ], columns: 8, steps: 16, scale: 4 }
 * ```
 */
export function gridLayout(
  { network: { unet }, consistency }: Pick<TrainingOptions, "network" | "consistency">,
  images: TrainingDataset,
  steps: number,
): GridLayout {
  const rows = gridRows(unet.labelDim, seenLabels(images), columns);
  const layout = { rows, columns, steps, scale: gridScale(unet.imageResolution) };
  return consistency === undefined ? layout : { ...layout, steps: 2, solver: "consistency" };
}

/**
 * Images of a grid that go through the network at once: no more than of a training step.
 * @example console.log(gridBatch({ batchDevice: 16 }), gridBatch({ batchDevice: 64 })); // 16 24
 */
export function gridBatch({ batchDevice }: { readonly batchDevice: number }): number {
  return Math.min(24, batchDevice);
}

/**
 * Seconds that a grid takes where so many images a second are trained on: an image of training takes three evaluations.
 * @example console.log(gridSeconds({ rows: [0, 1], columns: 8, steps: 16, scale: 4 }, 31)); // 5.3333
 */
export function gridSeconds(layout: GridLayout, speed: number): number {
  const { images, evaluations } = gridCost(layout);
  return (images * evaluations) / 3 / speed;
}
