/** A kernel as a product of matrices: sets of its axes are rows, columns and what is summed over. */
import { at, sizeOf } from "../../../../graph/shape.ts";
import { factoredContractionOf, transposedFactors } from "../../../../kernel/contraction.ts";
import type { Kernel } from "../../../../kernel/kernel.ts";
import { isStored, type Side, sideOf } from "./sides.ts";

/** result[batch, row, column] = sum over depth of left[batch, row, depth] * right[batch, column, depth]. */
export type Product = {
  /** Normalised. */
  readonly kernel: Kernel;
  readonly batch: readonly number[];
  readonly rows: readonly number[];
  /** Neighbours among them are neighbours in the results, where the last axis isn't one of the batch. */
  readonly columns: readonly number[];
  readonly depth: readonly number[];
  readonly left: Side;
  readonly right: Side;
  readonly sizes: Sizes;
};

export type Sizes = {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
};

/** Whether both sides are arrays as they lie in memory. */
export const isPlain = ({ left, right }: Product): boolean => isStored(left) && isStored(right);

/** The product that a normalised kernel is, or null if it is none, or has no points. */
export function productOf(kernel: Kernel): Product | null {
  const found = factoredContractionOf(kernel);
  if (found === null || found.rows.length === 0 || found.columns.length === 0) return null;
  if (kernel.axes.some(({ size }) => size === 0)) return null;
  const last = kernel.axes.findLastIndex(({ role }) => role === "parallel");
  const contraction = found.rows.includes(last) ? transposedFactors(found) : found;
  const { factors, batch, rows, columns, depth } = contraction;
  const points = (axes: readonly number[]): number => sizeOf(axes.map((axis) => at(kernel.axes, axis).size));
  return {
    kernel,
    batch,
    rows,
    columns,
    depth,
    left: sideOf(factors.left, contraction.left, kernel.axes, { batch, own: rows, depth }),
    right: sideOf(factors.right, contraction.right, kernel.axes, { batch, own: columns, depth }),
    sizes: { batch: points(batch), rows: points(rows), columns: points(columns), depth: points(depth) },
  };
}
