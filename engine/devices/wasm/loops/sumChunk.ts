/** Which part of a sum is added up in float32 before it goes to a float64 total. A matter of shapes, never of threads. */
import { at } from "../../../graph/shape.ts";
import type { Kernel, Scalar } from "../../../kernel/kernel.ts";
import { segmentsOf } from "./emitRegions.ts";
import { blocksOf, remaindersOf } from "./loops.ts";
import { type Nest, nestOf } from "./nest.ts";
import type { Schedule } from "./schedule.ts";

/** After so many blocks of a reduce axis, and at the end of each of its segments, a chunk ends. */
export type SumChunk = { readonly axis: number; readonly blocks: number };

/** Numbers that are added to a register one after the other at most. */
export const sumLength = 32;
/** The same of matrix products: as many as packed products add up, whose parts fit into the first cache. */
const productLength = 384;

/** The chunks of a kernel's sums; null if a register takes no more numbers in all than a chunk has, or if sums are exact. */
export function sumChunkOf(kernel: Kernel, schedule: Schedule): SumChunk | null {
  const { reduction } = kernel;
  if (reduction?.op !== "sum" || reduction.body.dtype !== "f32") return null;
  const chunkLength = isMatrixProduct(kernel, reduction.body) ? productLength : sumLength;
  const nest = nestOf(kernel, schedule.tiling);
  let length = 1;
  for (let axis = kernel.axes.length - 1; axis >= 0 && kernel.axes[axis]?.role === "reduce"; axis--) {
    const steps = stepsOf(kernel, reduction.body, nest, schedule.branching, axis);
    if (length * steps > chunkLength) return { axis, blocks: Math.floor(chunkLength / length) };
    length *= steps;
  }
  return null;
}

/** Whether numbers are multiplied that meet several others: one of two loads stays where a parallel axis goes on. */
function isMatrixProduct({ axes }: Kernel, body: Scalar): boolean {
  if (body.kind !== "binary" || body.op !== "multiply") return false;
  return (
    [body.x, body.y].every(({ kind }) => kind === "load") &&
    axes.some(({ role }, axis) => {
      return (
        role === "parallel" && [body.x, body.y].some((load) => load.kind === "load" && load.at.coefficients[axis] === 0)
      );
    })
  );
}

/** How often the code of an axis runs: once for each block, and for what remains of each segment. */
function stepsOf(kernel: Kernel, body: Scalar, nest: Nest, branching: ReadonlySet<number>, axis: number): number {
  const size = at(kernel.axes, axis).size;
  if (nest.flattened.has(axis)) return size;
  const step = axis === nest.vector ? 4 : 1;
  const walk = { unroll: nest.unroll.get(axis) ?? 1, step };
  const segments = segmentsOf(branching.has(axis) ? [] : [body], axis, size);
  return segments.reduce((steps, { start, stop }) => {
    return steps + blocksOf(walk, stop - start) + remaindersOf(walk, stop - start).length;
  }, 0);
}
