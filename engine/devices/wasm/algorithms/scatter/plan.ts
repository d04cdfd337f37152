/**
 * Scatter in time linear in what is folded and what is written: first the reduce points of each row become a chain, in their
 * order; then every result is the fold along the chain of its row. However rows are shared among threads, each sum is in that order.
 * Where the index depends on axes of the results, rows and chains are as many for each place on these: a batch.
 */
import { rowMajorStrides } from "../../../../graph/shape.ts";
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
  /** The axes of batches, and how many there are, numbered in row-major order of these. */
  readonly batchAxes: readonly number[];
  readonly batches: number;
};

/** Of no more points in a batch, comparing each result's row with all their indices takes less than chains. */
const fewPoints = 8;

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
  const points = sizes(reduceAxes);
  const { index } = scatter;
  const batchAxes = axes.flatMap(({ role }, axis) =>
    role === "parallel" && index.kind === "load" && index.at.coefficients[axis] !== 0 ? [axis] : [],
  );
  const batches = sizes(batchAxes);
  if (batches > 1 && points <= fewPoints) return null;
  return { ...scatter, rowAxes, first, rows, reduceAxes, points, batchAxes, batches };
}

/** Where in scratch memory the first point of each row is, and from which byte on the point after each point; -1: none. */
export function chainsScratch({ rows, points, batches }: Chains): Scratch & { readonly links: number } {
  const links = 4 * rows * batches;
  return { shared: links + 4 * points * batches, perThread: 0, links };
}

/** How far apart numbers of batches are that differ by one along each of the batch axes. */
export function batchStrides({ batchAxes }: Chains, { axes }: Kernel): readonly number[] {
  return rowMajorStrides(batchAxes.map((axis) => axes[axis]?.size ?? 1));
}
