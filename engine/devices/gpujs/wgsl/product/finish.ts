/**
 * What is stored of the sums of a product: at four neighbouring columns together where what is stored allows it, else at one. It is a
 * function of the kernel, called for each sum, so that its text is there once.
 */
import { at } from "../../../../graph/shape.ts";
import { isRead } from "../../../../kernel/access.ts";
import type { Kernel } from "../../../../kernel/kernel.ts";
import { mergeWithin, rewriteKernel } from "../../../../kernel/normalize.ts";
import { rootsOf, scalarsOf } from "../../../../kernel/scalar.ts";
import type { AxisText } from "../addresses.ts";
import { ExpressionEmitter, type Loads, type Place } from "../expression.ts";
import { allowsLanes } from "../lanes.ts";
import { type IsVector, storeResults, vectorArrays } from "../memory.ts";
import { placeOf } from "../points.ts";
import type { Aliases, Arrays } from "../wgslKernel.ts";
import type { WgslWriter } from "../writer.ts";
import type { Product } from "./product.ts";

type Group = "batch" | "rows" | "columns";
const groupNames: readonly Group[] = ["batch", "rows", "columns"];

export type Finish = {
  /** What is stored, over the parallel axes. */
  readonly kernel: Kernel;
  /** Axes of each group, in order. */
  readonly axes: { readonly [G in Group]: readonly number[] };
  /** The innermost of the columns, if four neighbours along it are stored together. */
  readonly lane: number | null;
  readonly isVector: IsVector;
};

/** How what a product gives is stored. */
export function finishOf({ kernel, batch, rows }: Product, aliases: Aliases): Finish {
  const parallel = kernel.axes.filter(({ role }) => role === "parallel");
  const stored = rewriteKernel({ ...kernel, reduction: null }, parallel, {
    affine: ({ offset, coefficients }) => ({ offset, coefficients: coefficients.slice(0, parallel.length) }),
    axis: (axis) => axis,
  });
  const groupOf = parallel.map((_, axis) => (batch.includes(axis) ? 0 : rows.includes(axis) ? 1 : 2));
  const merged = mergeWithin(stored, groupOf);
  const axesOf = (group: Group): readonly number[] =>
    merged.groups.flatMap((number, axis) => (groupNames[number] === group ? [axis] : []));
  const axes = { batch: axesOf("batch"), rows: axesOf("rows"), columns: axesOf("columns") };
  const last = at(axes.columns, axes.columns.length - 1);
  const size = at(merged.kernel.axes, last).size;
  const lane = size % 4 === 0 && allowsLanes(rootsOf(merged.kernel), last, size) ? last : null;
  return { kernel: merged.kernel, axes, lane, isVector: vectorArrays(merged.kernel, aliases, lane) };
}

/** Operands that what is stored reads. */
export function readBy({ kernel }: Finish): ReadonlySet<number> {
  return new Set(scalarsOf(...rootsOf(kernel)).flatMap((scalar) => (isRead(scalar) ? [scalar.operand] : [])));
}

/**
 * Declares the function and gives its name: of a product's number in the batch, a row, a column, or a quarter of the first of four, and
 * the sum.
 */
export function declareFinish(
  writer: WgslWriter,
  finish: Finish,
  arrays: Arrays,
  loads: Loads,
  name = "finish",
): string {
  const { kernel, axes, lane } = finish;
  const lanes = lane === null ? 1 : 4;
  const type = lane === null ? "f32" : "vec4f";
  writer.helper(`fn ${name}(batch: u32, row: u32, column: u32, sum: ${type})`, () => {
    const texts: AxisText[] = kernel.axes.map(({ size }) => ({ text: "0u", size }));
    let quarter: Place["lane"] = null;
    for (const [group, number] of [
      ["batch", "batch"],
      ["rows", "row"],
      ["columns", "column"],
    ] as const) {
      const own = axes[group];
      const place = placeOf(
        writer,
        own.map((axis) => at(kernel.axes, axis)),
        group === "columns" && lane !== null ? own.length - 1 : null,
        number,
      );
      own.forEach((axis, i) => (texts[axis] = at(place.axes, i)));
      if (place.lane !== null && lane !== null) quarter = { axis: lane, quarter: place.lane.quarter };
    }
    const place: Place = { axes: texts, lane: quarter, accumulator: { text: "sum", dtype: "f32", lanes } };
    const emitter = new ExpressionEmitter(writer, kernel, loads, place);
    const values = emitter.emit(...kernel.stores.map(({ value }) => value));
    const widened = values.map((value) => ({ ...value, text: emitter.widened(value) }));
    storeResults(writer, kernel, arrays, finish.isVector, place, widened);
  });
  return name;
}
