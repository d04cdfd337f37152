/** What can be computed at four neighbours of an axis together. */
import { at } from "../../../graph/shape.ts";
import type { Scalar } from "../../../kernel/kernel.ts";
import { hasAddress, scalarsOf } from "../../../kernel/scalar.ts";

/** Whether an expression can be computed at four neighbours of an axis together: no border and no gather comes between them. */
export function allowsLanes(roots: readonly Scalar[], axis: number, size: number): boolean {
  const isBorder = (edge: number): boolean => edge > 0 && edge < size && edge % 4 !== 0;
  return scalarsOf(...roots).every((scalar) => {
    if (scalar.kind === "within") return !movesAlong(scalar, axis);
    if (scalar.kind === "gather") {
      // What was folded may differ from neighbour to neighbour.
      return !scalarsOf(scalar.index).some((inner) => inner.kind === "accumulator" || movesAlong(inner, axis));
    }
    return scalar.kind !== "region" || scalar.axis !== axis || !(isBorder(scalar.start) || isBorder(scalar.stop));
  });
}

/** Whether the value of an expression itself, not of what it is made of, changes along an axis. */
export const movesAlong = (scalar: Scalar, axis: number): boolean =>
  (scalar.kind === "region" && scalar.axis === axis) || (hasAddress(scalar) && at(scalar.at.coefficients, axis) !== 0);
