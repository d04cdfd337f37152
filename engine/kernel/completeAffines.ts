import type { Affine, Scalar } from "./kernel.ts";
import { mapAffine, mapChildren, rewriter } from "./scalar.ts";

/** Gives every address one coefficient per axis: those made before the reduce axes were known get zeros for them. */
export function completeAffines(axisCount: number): (scalar: Scalar) => Scalar {
  const complete = (affine: Affine): Affine => {
    const { offset, coefficients } = affine;
    const missing = axisCount - coefficients.length;
    return missing === 0 ? affine : { offset, coefficients: [...coefficients, ...new Array<number>(missing).fill(0)] };
  };
  return rewriter((scalar, rewrite) => mapChildren(mapAffine(scalar, complete), rewrite));
}
