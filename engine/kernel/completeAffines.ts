import type { Affine, Scalar } from "./kernel.ts";

/**
 * Gives every address one coefficient per axis: those made before the reduce axes were known get zeros for them. Keeps
 * sharing: equal objects stay equal objects.
 */
export function completeAffines(axisCount: number): (scalar: Scalar) => Scalar {
  const done = new Map<Scalar, Scalar>();
  const complete = (affine: Affine): Affine => ({
    offset: affine.offset,
    coefficients: Array.from({ length: axisCount }, (_, i) => affine.coefficients[i] ?? 0),
  });
  const visit = (scalar: Scalar): Scalar => {
    const known = done.get(scalar);
    if (known !== undefined) return known;
    const result = rebuild(scalar, visit, complete);
    done.set(scalar, result);
    return result;
  };
  return visit;
}

function rebuild(scalar: Scalar, visit: (scalar: Scalar) => Scalar, complete: (affine: Affine) => Affine): Scalar {
  switch (scalar.kind) {
    case "literal":
    case "accumulator":
      return scalar;
    case "load":
    case "index":
      return { ...scalar, at: complete(scalar.at) };
    case "gather":
      return { ...scalar, at: complete(scalar.at), index: visit(scalar.index) };
    case "unary":
    case "cast":
    case "shift":
      return { ...scalar, x: visit(scalar.x) };
    case "binary":
    case "compare":
      return { ...scalar, x: visit(scalar.x), y: visit(scalar.y) };
    case "select":
      return { ...scalar, condition: visit(scalar.condition), x: visit(scalar.x), y: visit(scalar.y) };
    case "threefry":
      return {
        ...scalar,
        key0: visit(scalar.key0),
        key1: visit(scalar.key1),
        counter0: visit(scalar.counter0),
        counter1: visit(scalar.counter1),
      };
    case "region":
      return { ...scalar, inside: visit(scalar.inside), outside: visit(scalar.outside) };
  }
}
