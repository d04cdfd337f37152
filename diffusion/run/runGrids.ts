import { seenLabels, type TrainingDataset } from "../data/index.ts";
import type { NetworkConfig } from "../network/index.ts";
import { gridRows } from "./gridRows.ts";
import { gridCost, type GridLayout, gridScale } from "./sampleGrid.ts";

/** Images of a row. */
const columns = 8;

/** Steps of sampling for the grids drawn while training, and for those at the end. */
export const gridSteps = { training: 16, final: 32 } as const;

/** What the grids of a run on these images show, in so many steps. */
export function gridLayout({ unet }: NetworkConfig, images: TrainingDataset, steps: number): GridLayout {
  const rows = gridRows(unet.labelDim, seenLabels(images), columns);
  return { rows, columns, steps, scale: gridScale(unet.imageResolution) };
}

/** Images of a grid that go through the network at once: no more than of a training step. */
export function gridBatch({ batchDevice }: { readonly batchDevice: number }): number {
  return Math.min(24, batchDevice);
}

/** Seconds that a grid takes where so many images a second are trained on: an image of training takes three evaluations. */
export function gridSeconds(layout: GridLayout, speed: number): number {
  const { images, evaluations } = gridCost(layout);
  return (images * evaluations) / 3 / speed;
}
