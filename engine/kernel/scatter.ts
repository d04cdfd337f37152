/**
 * How kernels say scatter-add: for each result, the sum over all reduce points of the value of those whose index is the result's
 * row. A device may run that as it is written; one that puts the reduce points into rows first has less to do.
 */
import { at } from "../graph/shape.ts";
import type { Affine, Kernel, Scalar } from "./kernel.ts";

export type Scatter = {
  /** The row a reduce point goes to, i32: depends on the reduce axes alone. In no row if there is none of that number. */
  readonly index: Extract<Scalar, { readonly kind: "load" | "literal" }>;
  /** The row of a result: depends on the parallel axes alone. */
  readonly row: Affine;
  /** What a reduce point adds to the results of its row. */
  readonly value: Scalar;
};

/** The scatter that a kernel is, or null. */
export function scatterOf({ axes, reduction }: Pick<Kernel, "axes" | "reduction">): Scatter | null {
  if (reduction?.op !== "sum") return null;
  const { body } = reduction;
  if (body.kind !== "select" || body.y.kind !== "literal" || body.y.value !== 0) return null;
  const { condition, x: value } = body;
  if (condition.kind !== "compare" || condition.op !== "equal") return null;
  const isOnly = (role: "parallel" | "reduce", { coefficients }: Affine): boolean =>
    axes.every((axis, i) => axis.role === role || at(coefficients, i) === 0);
  for (const [index, row] of [
    [condition.x, condition.y],
    [condition.y, condition.x],
  ] as const) {
    const isIndex = index.kind === "literal" || (index.kind === "load" && isOnly("reduce", index.at));
    if (!isIndex || index.dtype !== "i32" || row.kind !== "index" || !isOnly("parallel", row.at)) continue;
    return { index, row: row.at, value };
  }
  return null;
}
