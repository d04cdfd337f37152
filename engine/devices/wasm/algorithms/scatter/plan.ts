/**
 * Scatter-add in time linear in what is added and what is written: first the reduce points of each row become a chain, in their
 * order; then every result is the sum along the chain of its row. However rows are shared among threads, each sum is in that order.
 */
import type { Kernel } from "../../../../kernel/kernel.ts";
import { type Scatter, scatterOf } from "../../../../kernel/scatter.ts";
import type { Scratch } from "../../loops/index.ts";

export type Chains = Scatter & {
  /** The axes that tell the row of a result. */
  readonly rowAxes: readonly number[];
  /** The smallest row, and how many there are. */
  readonly first: number;
  readonly rows: number;
  /** Reduce points, numbered in row-major order of the reduce axes. */
  readonly reduceAxes: readonly number[];
  readonly points: number;
};

/** How to compute a normalised kernel as a scatter, or null if it is none. */
export function chainsOf(kernel: Kernel): Chains | null {
  const scatter = scatterOf(kernel);
  const { axes } = kernel;
  if (scatter === null || axes.some(({ size }) => size === 0)) return null;
  const { offset, coefficients } = scatter.row;
  const size = (axis: number): number => axes[axis]?.size ?? 0;
  const sizes = (of: readonly number[]): number => of.reduce((product, axis) => product * size(axis), 1);
  const rowAxes = axes.flatMap((_, axis) => ((coefficients[axis] ?? 0) === 0 ? [] : [axis]));
  const spans = rowAxes.map((axis) => (coefficients[axis] ?? 0) * (size(axis) - 1));
  const first = spans.reduce((low, span) => low + Math.min(0, span), offset);
  const rows = spans.reduce((total, span) => total + Math.abs(span), 1);
  // Rows far apart, of which no result is made, would be chained for nothing.
  if (rows > sizes(rowAxes)) return null;
  const reduceAxes = axes.flatMap(({ role }, axis) => (role === "reduce" ? [axis] : []));
  return { ...scatter, rowAxes, first, rows, reduceAxes, points: sizes(reduceAxes) };
}

/** Where in scratch memory the first point of each row is, and from which byte on the point after each point; -1: none. */
export function chainsScratch({ rows, points }: Chains): Scratch & { readonly links: number } {
  const links = 4 * rows;
  return { shared: links + 4 * points, perThread: 0, links };
}
