import { basename } from "node:path";
import { seenLabels, type TrainingDataset } from "../../diffusion/data/index.ts";
import type { NetworkConfig } from "../../diffusion/network/index.ts";
import { printable } from "../../engine/index.ts";
import { gridCost, type GridLayout, gridRows, gridScale } from "../../diffusion/run/index.ts";

/** Images of a row. */
const columns = 8;

/** What the grids of a run show, in so many steps. */
export function gridLayout({ unet }: NetworkConfig, dataset: TrainingDataset, steps: number): GridLayout {
  const rows = gridRows(unet.labelDim, seenLabels(dataset), columns);
  return { rows, columns, steps, scale: gridScale(unet.imageResolution) };
}

/** Images of a grid that go through the network at once: no more than of a training step. */
export function gridBatch({ batchDevice }: { readonly batchDevice: number }): number {
  return Math.min(24, batchDevice);
}

/** Steps of the grids drawn while training, and of those at the end. */
export const [trainingSteps, finalSteps] = [16, 32] as const;

/** A grid's cost: `72 images of 31 evaluations, as much work as 744 images of training`. An image of training takes three evaluations. */
export function describeCost(layout: GridLayout): string {
  const { images, evaluations } = gridCost(layout);
  const equal = Math.round((images * evaluations) / 3).toLocaleString("en");
  return `${images} images of ${evaluations} evaluations, as much work as ${equal} images of training`;
}

/** Seconds that a grid takes where so many images a second are trained on. */
export function estimatedSeconds(layout: GridLayout, speed: number): number {
  const { images, evaluations } = gridCost(layout);
  return (images * evaluations) / 3 / speed;
}

/** What a grid's rows are: `rows: cats, dogs`. */
export function describeRows({ rows }: GridLayout, { classNames, labels }: TrainingDataset): string {
  const shown = rows.flatMap((label) => {
    if (label === null) return [];
    if (typeof label !== "number") return [`[${label.map((value) => Number(value.toPrecision(3))).join(", ")}]`];
    const name = classNames?.[label];
    return [name === undefined ? `class ${label}` : printable(basename(name))];
  });
  if (shown.length === 0) return "each from a seed of its own";
  const isPart = labels?.kind === "classes" && shown.length < labels.labelDim;
  return `rows: ${shown.join(", ")}${isPart ? ` (of ${labels.labelDim} classes)` : ""}`;
}
