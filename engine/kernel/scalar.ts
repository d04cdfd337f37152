/**
 * Walks over scalar expressions. An expression is a DAG of which the tree may be exponentially larger: every walk here and elsewhere
 * visits each distinct expression once.
 */
import { at } from "../graph/shape.ts";
import type { Affine, Kernel, Scalar } from "./kernel.ts";

const nothing: readonly Scalar[] = [];

/** The expressions an expression is made of. */
export function childrenOf(scalar: Scalar): readonly Scalar[] {
  switch (scalar.kind) {
    case "load":
    case "literal":
    case "index":
    case "accumulator":
      return nothing;
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
    case "within":
      return [scalar.inside, scalar.outside];
  }
}

/** `scalar` with `map` applied to what it is made of, once each; the same object if nothing changes. */
export function mapChildren(scalar: Scalar, map: (scalar: Scalar) => Scalar): Scalar {
  const children = childrenOf(scalar);
  if (children.length === 0) return scalar;
  const mapped: Scalar[] = [];
  let isSame = true;
  for (const child of children) {
    const part = map(child);
    isSame &&= part === child;
    mapped.push(part);
  }
  return isSame ? scalar : withChildren(scalar, mapped);
}

/** `scalar` made of others, in the order of `childrenOf`. */
function withChildren(scalar: Scalar, parts: readonly Scalar[]): Scalar {
  switch (scalar.kind) {
    case "load":
    case "literal":
    case "index":
    case "accumulator":
      return scalar;
    case "gather":
      return { ...scalar, index: at(parts, 0) };
    case "unary":
    case "cast":
    case "shift":
      return { ...scalar, x: at(parts, 0) };
    case "binary":
    case "compare":
      return { ...scalar, x: at(parts, 0), y: at(parts, 1) };
    case "select":
      return { ...scalar, condition: at(parts, 0), x: at(parts, 1), y: at(parts, 2) };
    case "threefry":
      return { ...scalar, key0: at(parts, 0), key1: at(parts, 1), counter0: at(parts, 2), counter1: at(parts, 3) };
    case "region":
    case "within":
      return { ...scalar, inside: at(parts, 0), outside: at(parts, 1) };
  }
}

/** An expression with an address, or a place, of its own. */
export type Addressed = Extract<Scalar, { readonly at: Affine }>;

export function hasAddress(scalar: Scalar): scalar is Addressed {
  return "at" in scalar;
}

/** `scalar` with its own address changed; what it is made of stays. The same object if nothing changes. */
export function mapAffine(scalar: Scalar, map: (affine: Affine) => Affine): Scalar {
  if (!hasAddress(scalar)) return scalar;
  const mapped = map(scalar.at);
  return mapped === scalar.at ? scalar : { ...scalar, at: mapped };
}

/**
 * A function that rewrites expressions, each distinct one once: what is shared stays shared, also between calls.
 * @param change what stands for `scalar`, whose parts `rewrite` rewrites; undefined: itself, of rewritten parts.
 */
export function rewriter(
  change: (scalar: Scalar, rewrite: (scalar: Scalar) => Scalar) => Scalar | undefined,
): (scalar: Scalar) => Scalar {
  const done = new Map<Scalar, Scalar>();
  const rewrite = (scalar: Scalar): Scalar => {
    const known = done.get(scalar);
    if (known !== undefined) return known;
    const result = change(scalar, rewrite) ?? mapChildren(scalar, rewrite);
    done.set(scalar, result);
    return result;
  };
  return rewrite;
}

/** `root` with the expressions that `replace` has something for replaced. */
export function substitute(root: Scalar, replace: (scalar: Scalar) => Scalar | undefined): Scalar {
  return rewriter(replace)(root);
}

/** What a kernel folds, if it does, and what it stores. */
export function rootsOf({ reduction, stores }: Pick<Kernel, "reduction" | "stores">): readonly Scalar[] {
  const values = stores.map(({ value }) => value);
  return reduction === null ? values : [reduction.body, ...values];
}

/** Every distinct expression within the given ones, inner ones first. */
export function scalarsOf(...roots: readonly Scalar[]): Scalar[] {
  const seen = new Set<Scalar>();
  const order: Scalar[] = [];
  const visit = (scalar: Scalar): void => {
    if (seen.has(scalar)) return;
    seen.add(scalar);
    for (const child of childrenOf(scalar)) visit(child);
    order.push(scalar);
  };
  for (const root of roots) visit(root);
  return order;
}
