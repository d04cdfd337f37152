import type { Affine, Scalar } from "./kernel.ts";
import { mapAffine, mapChildren, rewriter } from "./scalar.ts";

/** Gives every address one coefficient per axis: those made before the reduce axes were known get zeros for them. */
export function completeAffines(axisCount: number): (scalar: Scalar) => Scalar {
  const complete = ({ offset, coefficients }: Affine): Affine => ({
    offset,
    coefficients: Array.from({ length: axisCount }, (_, i) => coefficients[i] ?? 0),
  });
  return rewriter((scalar, rewrite) => mapChildren(mapAffine(scalar, complete), rewrite));
}
