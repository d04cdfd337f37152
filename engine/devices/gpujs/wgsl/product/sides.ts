/** The two sides of a product as tiles of them are read: along which direction elements are neighbours, and whether in fours. */
import { at } from "../../../../graph/shape.ts";
import type { Load } from "../../../../kernel/contraction.ts";
import type { Affine, Axis, Scalar } from "../../../../kernel/kernel.ts";

/** `size` numbers that lie `step` elements apart. */
export type Run = { readonly size: number; readonly step: number };

/** Points of several axes in one row-major order, and where they lie: runs of runs, outermost first. */
export type Direction = { readonly size: number; readonly runs: readonly Run[] };

/** Rows or columns (`own`), or what is summed over. */
export type DirectionName = "own" | "depth";

/** What an address, or a place, takes from each part of a point: it is the sum. */
export type Directions = { readonly batch: Direction; readonly own: Direction; readonly depth: Direction };

/** Axes of a kernel by what they are to one side of a product; all in the order of the kernel. */
export type SideAxes = {
  readonly batch: readonly number[];
  readonly own: readonly number[];
  readonly depth: readonly number[];
};

/** One side of a product: which value it has at (batch, own, depth). */
export type Side = Directions & {
  readonly factor: Scalar;
  /** Stands for how the factor goes through memory; often it is the factor. */
  readonly load: Load;
  readonly axes: SideAxes;
  /** The direction along which neighbours are neighbours in memory, or next to it. */
  readonly along: DirectionName;
  /** Whether four such neighbours, counted from the first, are an aligned vector wherever they begin. */
  readonly inFours: boolean;
};

/** Whether the factor is what is in memory, not made of it. */
export const isStored = ({ factor, load }: Pick<Side, "factor" | "load">): boolean => factor === load;

export function sideOf(factor: Scalar, load: Load, axes: readonly Axis[], sideAxes: SideAxes): Side {
  const directions = directionsOf(load.at, axes, sideAxes);
  const { batch, own, depth } = directions;
  const isWhole = isStored({ factor, load });
  const fours = {
    own: isWhole && isInFours(load, own, [depth, batch]),
    depth: isWhole && isInFours(load, depth, [own, batch]),
  };
  const inFours = fours.own || fours.depth;
  const along = inFours ? (fours.own ? "own" : "depth") : isNearer(own, depth) ? "own" : "depth";
  return { ...directions, factor, load, axes: sideAxes, along, inFours };
}

export function directionsOf(affine: Affine, axes: readonly Axis[], { batch, own, depth }: SideAxes): Directions {
  const direction = (of: readonly number[]): Direction => directionOf(affine, axes, of);
  return { batch: direction(batch), own: direction(own), depth: direction(depth) };
}

/** The direction of the four elements that lie in one vector of a tile. */
export function lanesOf({ along, inFours }: Pick<Side, "along" | "inFours">): DirectionName {
  // One by one they are read by threads side by side along the direction of neighbours, so that these read what lies together.
  const other = along === "own" ? "depth" : "own";
  return inFours ? along : other;
}

function directionOf({ coefficients }: Affine, axes: readonly Axis[], of: readonly number[]): Direction {
  const size = of.reduce((product, axis) => product * at(axes, axis).size, 1);
  if (of.every((axis) => at(coefficients, axis) === 0)) return { size, runs: [] };
  const runs: Run[] = [];
  for (const axis of of.toReversed()) {
    const run = { size: at(axes, axis).size, step: at(coefficients, axis) };
    const inner = runs[0];
    if (inner !== undefined && run.step === inner.step * inner.size) {
      runs[0] = { size: run.size * inner.size, step: inner.step };
    } else if (run.size > 1) runs.unshift(run);
  }
  return { size, runs };
}

function isInFours({ at: { offset } }: Load, { runs }: Direction, others: readonly Direction[]): boolean {
  const inner = runs.at(-1);
  if (inner?.step !== 1 || inner.size % 4 !== 0 || offset % 4 !== 0) return false;
  const rest = [...runs.slice(0, -1), ...others.flatMap((other) => other.runs)];
  return rest.every(({ step }) => step % 4 === 0);
}

/** Whether neighbours along `one` lie nearer to each other than those along `other`, or are more. */
function isNearer(one: Direction, other: Direction): boolean {
  const [a, b] = [one.runs.at(-1), other.runs.at(-1)];
  if (a === undefined || b === undefined) return a !== undefined;
  const [near, far] = [Math.abs(a.step) || Infinity, Math.abs(b.step) || Infinity];
  return near === far ? a.size >= b.size : near < far;
}
