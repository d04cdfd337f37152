/**
 * Index arithmetic of one kernel: which element of a value is meant at a point of the kernel's axes. Movement operations
 * never run, they only change the index on the way from a result down to the loads.
 */
import { at, rowMajorStrides, type Shape, sizeOf } from "../graph/shape.ts";
import type { Affine } from "./kernel.ts";

/** One kernel axis while the kernel is being built. */
export type AxisSymbol = { readonly size: number; readonly position: number };

type Term = { readonly axis: AxisSymbol; readonly coefficient: number };

/** `offset + sum(coefficient * axis)`, in the order of the axes; no axis twice, no zero coefficients, no axes of size 1. */
export type IndexExpression = { readonly offset: number; readonly terms: readonly Term[] };

/** Element of a value: by one expression per axis, or by its place in row-major order. */
export type Index =
  | { readonly kind: "axes"; readonly axes: readonly IndexExpression[] }
  | { readonly kind: "flat"; readonly flat: IndexExpression };

/** What is known of axes inside a region: start <= axis < stop. */
export type Bounds = ReadonlyMap<AxisSymbol, { readonly start: number; readonly stop: number }>;

export const constantIndex = (offset: number): IndexExpression => ({ offset, terms: [] });

export function axisIndex(axis: AxisSymbol): IndexExpression {
  return axis.size === 1 ? constantIndex(0) : { offset: 0, terms: [{ axis, coefficient: 1 }] };
}

/** a * scale + b. */
export function combine(a: IndexExpression, scale: number, b: IndexExpression = constantIndex(0)): IndexExpression {
  const offset = a.offset * scale + b.offset;
  if (scale === 0 || a.terms.length === 0) return { offset, terms: b.terms };
  const terms: Term[] = [];
  let next = 0;
  const before = (position: number): Term | undefined => {
    const term = b.terms[next];
    return term !== undefined && term.axis.position < position ? term : undefined;
  };
  for (const { axis, coefficient } of a.terms) {
    for (let term = before(axis.position); term !== undefined; term = before(axis.position)) {
      terms.push(term);
      next++;
    }
    const same = b.terms[next]?.axis === axis ? at(b.terms, next++).coefficient : 0;
    const sum = same + coefficient * scale;
    if (sum !== 0) terms.push({ axis, coefficient: sum });
  }
  terms.push(...b.terms.slice(next));
  return { offset, terms };
}

/** The place in row-major order of `shape`. */
export function flatten(index: Index, shape: Shape): IndexExpression {
  if (index.kind === "flat") return index.flat;
  const strides = rowMajorStrides(shape);
  return index.axes.reduce((sum, expression, axis) => combine(expression, at(strides, axis), sum), constantIndex(0));
}

export function rangeOf(expression: IndexExpression, bounds: Bounds): { readonly low: number; readonly high: number } {
  let [low, high] = [expression.offset, expression.offset];
  for (const { axis, coefficient } of expression.terms) {
    const { start, stop } = bounds.get(axis) ?? { start: 0, stop: axis.size };
    const ends = [coefficient * start, coefficient * (stop - 1)] as const;
    low += Math.min(...ends);
    high += Math.max(...ends);
  }
  return { low, high };
}

/** Outcome of `unflatten`: indices per axis; or an axis that must be split so that its inner part has `inner` points; or neither works. */
export type Unflattened =
  | { readonly kind: "axes"; readonly axes: readonly IndexExpression[] }
  | { readonly kind: "split"; readonly axis: AxisSymbol; readonly inner: number }
  | { readonly kind: "impossible" };

/**
 * One affine expression per axis of `shape` for a place in its row-major order, if there is one: the terms that are whole
 * multiples of an axis' stride belong to it, and what remains must stay below that stride.
 */
export function unflatten(flat: IndexExpression, shape: Shape, bounds: Bounds): Unflattened {
  if (sizeOf(shape) === 0) return { kind: "axes", axes: shape.map(() => constantIndex(0)) };
  const strides = rowMajorStrides(shape);
  let rest = flat;
  const axes: IndexExpression[] = [];
  for (const [axis, size] of shape.entries()) {
    const stride = at(strides, axis);
    if (size === 1) {
      axes.push(constantIndex(0));
      continue;
    }
    const mine = rest.terms.filter(({ coefficient }) => coefficient % stride === 0);
    const others = rest.terms.filter(({ coefficient }) => coefficient % stride !== 0);
    const quotient = Math.floor(rest.offset / stride);
    const remainder = { offset: rest.offset - quotient * stride, terms: others };
    const { low, high } = rangeOf(remainder, bounds);
    if (low < 0 || high >= stride) {
      // An axis that runs over the border between this axis and the inner ones can be split there.
      const crossing = others.find(({ axis: symbol, coefficient }) => {
        const inner = stride / coefficient;
        return (
          coefficient > 0 && Number.isInteger(inner) && inner > 1 && inner < symbol.size && symbol.size % inner === 0
        );
      });
      return crossing === undefined
        ? { kind: "impossible" }
        : { kind: "split", axis: crossing.axis, inner: stride / crossing.coefficient };
    }
    axes.push({
      offset: quotient,
      terms: mine.map(({ axis: symbol, coefficient }) => ({ axis: symbol, coefficient: coefficient / stride })),
    });
    rest = remainder;
  }
  return { kind: "axes", axes };
}

/** True if the points of `axes` reach each of `size` elements exactly once. */
export function isBijection(flat: IndexExpression, axes: readonly AxisSymbol[], size: number): boolean {
  if (flat.offset !== 0) return false;
  const terms = [...flat.terms].sort((a, b) => a.coefficient - b.coefficient);
  let covered = 1;
  for (const { axis, coefficient } of terms) {
    if (coefficient !== covered) return false;
    covered *= axis.size;
  }
  const wanted = axes.filter((axis) => axis.size > 1);
  return covered === size && terms.length === wanted.length && terms.every(({ axis }) => wanted.includes(axis));
}

/** The address in a kernel of `axisCount` axes. */
export function toAffine(expression: IndexExpression, axisCount: number): Affine {
  const coefficients = new Array<number>(axisCount).fill(0);
  for (const { axis, coefficient } of expression.terms) coefficients[axis.position] = coefficient;
  return { offset: expression.offset, coefficients };
}

export function indexKey(index: Index): string {
  const text = (expression: IndexExpression): string =>
    `${expression.offset}${expression.terms.map(({ axis, coefficient }) => `+${coefficient}a${axis.position}`).join("")}`;
  return index.kind === "flat" ? `flat ${text(index.flat)}` : index.axes.map(text).join(";");
}

export function boundsKey(bounds: Bounds): string {
  return [...bounds].map(([axis, { start, stop }]) => `a${axis.position}:${start}-${stop}`).join(",");
}
