import type { Scalar } from "./kernel.ts";

/** The expressions an expression is made of. */
export function childrenOf(scalar: Scalar): readonly Scalar[] {
  switch (scalar.kind) {
    case "load":
    case "literal":
    case "index":
    case "accumulator":
      return [];
    case "gather":
      return [scalar.index];
    case "unary":
    case "cast":
    case "shift":
      return [scalar.x];
    case "binary":
    case "compare":
      return [scalar.x, scalar.y];
    case "select":
      return [scalar.condition, scalar.x, scalar.y];
    case "threefry":
      return [scalar.key0, scalar.key1, scalar.counter0, scalar.counter1];
    case "region":
      return [scalar.inside, scalar.outside];
  }
}

/** Every distinct expression within the given ones, inner ones first. */
export function scalarsOf(...roots: readonly Scalar[]): Scalar[] {
  const seen = new Set<Scalar>();
  const order: Scalar[] = [];
  const visit = (scalar: Scalar): void => {
    if (seen.has(scalar)) return;
    seen.add(scalar);
    childrenOf(scalar).forEach(visit);
    order.push(scalar);
  };
  roots.forEach(visit);
  return order;
}
