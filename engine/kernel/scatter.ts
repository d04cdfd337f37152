/**
 * How kernels say scatter: for each result, the fold over all reduce points of the value of those whose index is the result's
 * row. A device may run that as it is written; one that puts the reduce points into rows first has less to do.
 */
import { neutralElement } from "../graph/neutralElement.ts";
import { at } from "../graph/shape.ts";
import type { Affine, Kernel, Scalar } from "./kernel.ts";

export type Scatter = {
  /** The row a reduce point goes to, i32: depends on no axis that the row of a result does. In no row if there is none of that number. */
  readonly index: Extract<Scalar, { readonly kind: "load" | "literal" }>;
  /** The row of a result: depends on the parallel axes alone. */
  readonly row: Affine;
  /** What of a reduce point is folded into the results of its row. */
  readonly value: Scalar;
};

/** The scatter that a kernel is, or null. */
export function scatterOf({ axes, reduction }: Pick<Kernel, "axes" | "reduction">): Scatter | null {
  if (reduction === null) return null;
  const { op, body } = reduction;
  if (body.kind !== "select" || body.y.kind !== "literal" || body.y.value !== neutralElement(op, body.dtype))
    return null;
  const { condition, x: value } = body;
  if (condition.kind !== "compare" || condition.op !== "equal") return null;
  const isOfResults = ({ coefficients }: Affine): boolean =>
    axes.every((axis, i) => axis.role === "parallel" || at(coefficients, i) === 0);
  const areApart = (index: Affine, row: Affine): boolean =>
    axes.every((axis, i) => axis.role === "reduce" || at(index.coefficients, i) === 0 || at(row.coefficients, i) === 0);
  for (const [index, row] of [
    [condition.x, condition.y],
    [condition.y, condition.x],
  ] as const) {
    if (row.kind !== "index" || index.dtype !== "i32" || !isOfResults(row.at)) continue;
    if (index.kind === "literal" || (index.kind === "load" && areApart(index.at, row.at))) {
      return { index, row: row.at, value };
    }
  }
  return null;
}
