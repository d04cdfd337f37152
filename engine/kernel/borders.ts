/** Values with borders, `pad` and `concat`: which part an element is of is asked once for a stretch of an axis. */
import type { Node, NodeOf } from "../graph/node.ts";
import { at } from "../graph/shape.ts";
import { type AxisSymbol, type Bounds, combine, constantIndex, type IndexExpression } from "./indexing.ts";
import type { Scalar } from "./kernel.ts";
import { CannotFuse } from "./obstacles.ts";

/** The value of a node at an index, within bounds. */
export type ValueOf = (node: Node, axes: readonly IndexExpression[], bounds: Bounds) => Scalar;

/** @param axis those before it are dealt with */
export function padded(
  node: NodeOf<"pad">,
  axes: readonly IndexExpression[],
  bounds: Bounds,
  valueOf: ValueOf,
  axis = 0,
): Scalar {
  const { low, high, value } = node.attributes;
  const [x] = node.inputs;
  const next = axes.findIndex((_, a) => a >= axis && (at(low, a) > 0 || at(high, a) > 0));
  if (next < 0) return valueOf(x, axes, bounds);
  const start = at(low, next);
  return region(
    node,
    at(axes, next),
    { start, stop: start + at(x.shape, next) },
    bounds,
    (inner) => padded(node, shifted(axes, next, -start), inner, valueOf, next + 1),
    () => ({ kind: "literal", dtype: node.dtype, value }),
  );
}

/** @param part those before it end at `start` */
export function concatenated(
  node: NodeOf<"concat">,
  axes: readonly IndexExpression[],
  bounds: Bounds,
  valueOf: ValueOf,
  part = 0,
  start = 0,
): Scalar {
  const { axis } = node.attributes;
  const x = at(node.inputs, part);
  const stop = start + at(x.shape, axis);
  const value = (inner: Bounds): Scalar => valueOf(x, shifted(axes, axis, -start), inner);
  if (part === node.inputs.length - 1) {
    const symbol = plainAxis(node, at(axes, axis));
    const first = start - at(axes, axis).offset;
    return value(
      symbol === undefined || first <= 0 ? bounds : new Map([...bounds, [symbol, { start: first, stop: symbol.size }]]),
    );
  }
  return region(node, at(axes, axis), { start, stop }, bounds, value, (outer) =>
    concatenated(node, axes, outer, valueOf, part + 1, stop),
  );
}

function shifted(axes: readonly IndexExpression[], axis: number, by: number): IndexExpression[] {
  return axes.map((expression, a) => (a === axis ? combine(expression, 1, constantIndex(by)) : expression));
}

/** `inside` where start <= expression < stop, else `outside`; each is asked for only where it can occur. */
function region(
  node: Node,
  expression: IndexExpression,
  range: { readonly start: number; readonly stop: number },
  bounds: Bounds,
  inside: (bounds: Bounds) => Scalar,
  outside: (bounds: Bounds) => Scalar,
): Scalar {
  const axis = plainAxis(node, expression);
  if (axis === undefined) {
    return expression.offset >= range.start && expression.offset < range.stop ? inside(bounds) : outside(bounds);
  }
  const known = bounds.get(axis) ?? { start: 0, stop: axis.size };
  const start = Math.max(known.start, range.start - expression.offset);
  const stop = Math.min(known.stop, range.stop - expression.offset);
  if (start >= stop) return outside(bounds);
  if (start === known.start && stop === known.stop) return inside(bounds);
  return {
    kind: "region",
    dtype: node.dtype,
    axis: axis.position,
    start,
    stop,
    inside: inside(new Map([...bounds, [axis, { start, stop }]])),
    outside: outside(bounds),
  };
}

/** The one kernel axis that an index follows one to one, or undefined if it is constant. */
function plainAxis(node: Node, expression: IndexExpression): AxisSymbol | undefined {
  const [term, ...others] = expression.terms;
  if (term === undefined) return undefined;
  if (others.length > 0 || term.coefficient !== 1) throw new CannotFuse(node);
  return term.axis;
}
