/** The two sides of a product as tiles of them are read: along which direction elements are neighbours, and whether in fours. */
import { at } from "../../../../graph/shape.ts";
import type { Load } from "../../../../kernel/contraction.ts";
import { isRead } from "../../../../kernel/access.ts";
import type { Affine, Axis, Scalar } from "../../../../kernel/kernel.ts";
import { scalarsOf } from "../../../../kernel/scalar.ts";

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
  /** Whether four such neighbours, counted from the first, are an aligned vector, or made of such, wherever they begin. */
  readonly inFours: boolean;
};

/** Whether the factor is what is in memory, not made of it. */
export const isStored = ({ factor, load }: Pick<Side, "factor" | "load">): boolean => factor === load;

export function sideOf(factor: Scalar, load: Load, axes: readonly Axis[], sideAxes: SideAxes): Side {
  const directions = directionsOf(load.at, axes, sideAxes);
  const { own, depth } = directions;
  const fours = { own: isInFours(factor, axes, sideAxes, "own"), depth: isInFours(factor, axes, sideAxes, "depth") };
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

/** Arrays that a side reads. */
export const operandsOf = ({ factor }: Pick<Side, "factor">): readonly number[] =>
  scalarsOf(factor).flatMap((scalar) => (isRead(scalar) ? [scalar.operand] : []));

/** The axis along which the four elements of a vector are neighbours. */
export function laneAxisOf({ along, axes }: Pick<Side, "along" | "axes">, all: readonly Axis[]): number {
  const lane = axes[along].findLast((axis) => at(all, axis).size > 1);
  if (lane === undefined) throw new RangeError("a direction of one element has no neighbours");
  return lane;
}

/** Whether what a factor reads, and what its borders are told by, goes in fours along a direction. */
function isInFours(factor: Scalar, axes: readonly Axis[], sideAxes: SideAxes, along: DirectionName): boolean {
  const runsOf = (affine: Affine): { readonly inner: Run; readonly rest: readonly Run[] } => {
    const { batch, own, depth } = directionsOf(affine, axes, sideAxes);
    const [{ size, runs }, other] = along === "own" ? [own, depth] : [depth, own];
    return { inner: runs.at(-1) ?? { size, step: 0 }, rest: [...runs.slice(0, -1), ...other.runs, ...batch.runs] };
  };
  const movesInFours = (affine: Affine): boolean => {
    const { inner, rest } = runsOf(affine);
    const isAligned = affine.offset % 4 === 0 && rest.every(({ step }) => step % 4 === 0);
    return isAligned && inner.step === 1 && inner.size % 4 === 0;
  };
  const stands = (affine: Affine): boolean => {
    const { inner } = runsOf(affine);
    return inner.step === 0 && inner.size % 4 === 0;
  };
  return scalarsOf(factor).every((scalar) => {
    switch (scalar.kind) {
      case "load":
        return movesInFours(scalar.at);
      case "within":
        return stands(scalar.at) || (scalar.start % 4 === 0 && scalar.stop % 4 === 0 && movesInFours(scalar.at));
      case "region":
      case "index":
      case "gather":
        return false;
      default:
        return true;
    }
  });
}

/** Whether neighbours along `one` lie nearer to each other than those along `other`, or are more. */
function isNearer(one: Direction, other: Direction): boolean {
  const [a, b] = [one.runs.at(-1), other.runs.at(-1)];
  if (a === undefined || b === undefined) return a !== undefined;
  const [near, far] = [Math.abs(a.step) || Infinity, Math.abs(b.step) || Infinity];
  return near === far ? a.size >= b.size : near < far;
}
