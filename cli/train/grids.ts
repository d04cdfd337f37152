import { basename } from "node:path";
import type { TrainingDataset } from "../../diffusion/data/index.ts";
import { printable } from "../../engine/index.ts";
import { gridCost, type GridLayout } from "../../diffusion/run/index.ts";

/** A grid's cost: `72 images of 31 evaluations, as much work as 744 images of training`. An image of training takes three evaluations. */
export function describeCost(layout: GridLayout): string {
  const { images, evaluations } = gridCost(layout);
  const equal = Math.round((images * evaluations) / 3).toLocaleString("en");
  return `${images} images of ${evaluations} evaluations, as much work as ${equal} images of training`;
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
