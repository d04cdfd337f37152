/** One axis of a kernel as two. */
import type { Kernel } from "./kernel.ts";
import { rewriteKernel, withValues } from "./normalize.ts";
import { mapChildren, rewriter, rootsOf, scalarsOf } from "./scalar.ts";

/**
 * The kernel with a parallel axis cut in two: an outer one and, behind it, one of `inner` points.
 * @returns null where a border comes between points that would stay together
 */
export function splitAxis(kernel: Kernel, axis: number, inner: number): Kernel | null {
  const isCut = (edge: number): boolean => edge % inner !== 0;
  const scalars = scalarsOf(...rootsOf(kernel));
  if (scalars.some((each) => each.kind === "region" && each.axis === axis && (isCut(each.start) || isCut(each.stop))))
    return null;
  const rescaled = rewriter((scalar, rewrite) => {
    if (scalar.kind !== "region" || scalar.axis !== axis) return undefined;
    return mapChildren({ ...scalar, start: scalar.start / inner, stop: scalar.stop / inner }, rewrite);
  });
  const reduction = kernel.reduction && { ...kernel.reduction, body: rescaled(kernel.reduction.body) };
  return rewriteKernel(
    withValues({ ...kernel, reduction }, rescaled),
    kernel.axes.flatMap(({ role, size }, index) =>
      index === axis
        ? [
            { role, size: size / inner },
            { role, size: inner },
          ]
        : [{ role, size }],
    ),
    {
      affine: ({ offset, coefficients }) => ({
        offset,
        coefficients: coefficients.flatMap((step, index) => (index === axis ? [step * inner, step] : [step])),
      }),
      axis: (index) => (index > axis ? index + 1 : index),
    },
  );
}
