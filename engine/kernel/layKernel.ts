/** Kernels over arrays that lie otherwise than in the order of their elements: the same values at other addresses. */
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import type { Load } from "./contraction.ts";
import { type AxisSymbol, type Bounds, boundsKey, type IndexExpression, toAffine } from "./indexing.ts";
import type { Affine, Axis, Kernel, Scalar } from "./kernel.ts";
import type { LoweredKernel } from "./kernelWalk.ts";
import { type ChannelsLast, type Layout, moved } from "./layout.ts";
import { rewriteKernel, withValues } from "./normalize.ts";
import { mapChildren, scalarsOf } from "./scalar.ts";
import { splitAxis } from "./splitAxis.ts";

/**
 * The kernel that makes `root` where arrays lie as `layoutOf` says; itself if all it touches lie in order. Axes are in the order in
 * which what is written lies; what is summed over is in the order of the largest array that doesn't lie in order.
 * @returns null if it can't be: an element's place is no affine function of the axes, or depends on data
 */
export function layKernel(lowered: LoweredKernel, root: Node, layoutOf: (node: Node) => Layout): LoweredKernel | null {
  const layouts = lowered.sources.map(layoutOf);
  const own = layoutOf(root);
  if (own === null && layouts.every((layout) => layout === null)) return lowered;
  let kernel = kernelOf(lowered, root);
  for (;;) {
    const placed = place(kernel, layouts, own);
    switch (placed.kind) {
      case "none":
        return null;
      case "cut": {
        const cut = splitAxis(kernel, placed.axis, placed.inner);
        if (cut === null) return null;
        kernel = cut;
        break;
      }
      case "placed":
        return loweredOf(inOrder(placed.kernel, layouts), lowered);
    }
  }
}

/** The kernel as devices see it, unnamed and uncounted. */
export function kernelOf({ parallel, reduce, operands, reduction, value, at: to }: LoweredKernel, root: Node): Kernel {
  const axes = [
    ...parallel.map((size): Axis => ({ role: "parallel", size })),
    ...reduce.map((size): Axis => ({ role: "reduce", size })),
  ];
  const stores = [{ value, dtype: root.dtype, length: sizeOf(root.shape), at: to }] as const;
  return { name: "", axes, operands, reduction, stores, flops: 0, bytes: 0 };
}

function loweredOf({ axes, reduction, stores: [{ value, at: to }] }: Kernel, lowered: LoweredKernel): LoweredKernel {
  const sizes = (wanted: Axis["role"]): number[] => axes.flatMap(({ role, size }) => (role === wanted ? [size] : []));
  return { ...lowered, parallel: sizes("parallel"), reduce: sizes("reduce"), reduction, value, at: to };
}

type Placed =
  | { readonly kind: "placed"; readonly kernel: Kernel }
  | { readonly kind: "cut"; readonly axis: number; readonly inner: number }
  | { readonly kind: "none" };

/** Thrown through the walk, which has no other way out. */
class Stop extends Error {
  readonly placed: Placed;
  constructor(placed: Placed) {
    super(placed.kind);
    this.placed = placed;
  }
}

function place(kernel: Kernel, layouts: readonly Layout[], own: Layout): Placed {
  const symbols = kernel.axes.map(({ size }, position): AxisSymbol => ({ size, position }));
  const placeOf = (affine: Affine, layout: ChannelsLast, bounds: Bounds): Affine => {
    const found = moved(expressionOf(affine, symbols), layout, bounds);
    if (found.kind === "at") return toAffine(found.at, symbols.length);
    throw new Stop(found.kind === "cut" ? { ...found, axis: found.axis.position } : { kind: "none" });
  };
  /** What is rewritten is known by the bounds that it was met in. */
  const known = new Map<string, Map<Scalar, Scalar>>();
  const rewrite = (scalar: Scalar, bounds: Bounds, key: string): Scalar => {
    const here = known.get(key) ?? new Map<Scalar, Scalar>();
    known.set(key, here);
    const done = here.get(scalar);
    if (done !== undefined) return done;
    const result = rewritten(scalar, bounds, key);
    here.set(scalar, result);
    return result;
  };
  const rewritten = (scalar: Scalar, bounds: Bounds, key: string): Scalar => {
    if (scalar.kind === "region") {
      const { inside, outside } = partsOf(scalar, symbols, bounds);
      return {
        ...scalar,
        inside: rewrite(scalar.inside, inside, boundsKey(inside)),
        outside: rewrite(scalar.outside, outside, boundsKey(outside)),
      };
    }
    if (scalar.kind === "load") {
      const layout = at(layouts, scalar.operand);
      return layout === null ? scalar : { ...scalar, at: placeOf(scalar.at, layout, bounds) };
    }
    if (scalar.kind === "gather" && at(layouts, scalar.operand) !== null) throw new Stop({ kind: "none" });
    return mapChildren(scalar, (child) => rewrite(child, bounds, key));
  };
  const none: Bounds = new Map();
  try {
    const { reduction } = kernel;
    const body = reduction && { ...reduction, body: rewrite(reduction.body, none, "") };
    const laid = withValues({ ...kernel, reduction: body }, (value) => rewrite(value, none, ""));
    if (own === null) return { kind: "placed", kernel: laid };
    const [store] = laid.stores;
    return { kind: "placed", kernel: { ...laid, stores: [{ ...store, at: placeOf(store.at, own, none) }] } };
  } catch (stop) {
    if (stop instanceof Stop) return stop.placed;
    throw stop;
  }
}

/** Where an address goes in an array that lies so; null if that is no affine function of axes of these sizes. */
export function placeIn(affine: Affine, axes: readonly Axis[], layout: ChannelsLast): Affine | null {
  const symbols = axes.map(({ size }, position): AxisSymbol => ({ size, position }));
  const found = moved(expressionOf(affine, symbols), layout, new Map());
  return found.kind === "at" ? toAffine(found.at, axes.length) : null;
}

function expressionOf({ offset, coefficients }: Affine, symbols: readonly AxisSymbol[]): IndexExpression {
  return {
    offset,
    terms: symbols.flatMap((axis) => {
      const coefficient = at(coefficients, axis.position);
      return coefficient === 0 || axis.size === 1 ? [] : [{ axis, coefficient }];
    }),
  };
}

/** What is known of the axis of a border on both sides of it. */
function partsOf(
  { axis, start, stop }: Scalar & { kind: "region" },
  symbols: readonly AxisSymbol[],
  bounds: Bounds,
): { readonly inside: Bounds; readonly outside: Bounds } {
  const symbol = at(symbols, axis);
  const whole = bounds.get(symbol) ?? { start: 0, stop: symbol.size };
  const within = { start: Math.max(start, whole.start), stop: Math.min(stop, whole.stop) };
  const beyond =
    start <= whole.start
      ? { start: Math.max(stop, whole.start), stop: whole.stop }
      : stop >= whole.stop
        ? { start: whole.start, stop: Math.min(start, whole.stop) }
        : whole;
  const known = (part: typeof whole): Bounds => (part.start < part.stop ? new Map(bounds).set(symbol, part) : bounds);
  return { inside: known(within), outside: known(beyond) };
}

/** The kernel with its axes in the order in which memory is gone through. */
function inOrder(kernel: Kernel, layouts: readonly Layout[]): Kernel {
  const axes = [...kernel.axes.keys()];
  const isParallel = (axis: number): boolean => at(kernel.axes, axis).role === "parallel";
  const stepsOf =
    ({ coefficients }: Affine) =>
    (one: number, other: number): number =>
      Math.abs(at(coefficients, other)) - Math.abs(at(coefficients, one));
  const guide = guideOf(kernel, layouts);
  const parallel = axes.filter((axis) => isParallel(axis) && at(kernel.axes, axis).size > 1);
  const reduce = axes.filter((axis) => !isParallel(axis));
  const order = [
    // Axes of a single point stay where they do no harm.
    ...axes.filter((axis) => isParallel(axis) && at(kernel.axes, axis).size === 1),
    ...parallel.sort(stepsOf(kernel.stores[0].at)),
    ...(guide === null ? reduce : reduce.sort(stepsOf(guide))),
  ];
  if (order.every((axis, place) => axis === place)) return kernel;
  return rewriteKernel(
    kernel,
    order.map((axis) => at(kernel.axes, axis)),
    {
      affine: ({ offset, coefficients }) => ({ offset, coefficients: order.map((axis) => at(coefficients, axis)) }),
      axis: (axis) => order.indexOf(axis),
    },
  );
}

/** The address of the first load of the largest array that doesn't lie in order. */
function guideOf({ reduction, operands }: Kernel, layouts: readonly Layout[]): Affine | null {
  if (reduction === null) return null;
  const loads = scalarsOf(reduction.body).filter(
    (scalar): scalar is Load => scalar.kind === "load" && at(layouts, scalar.operand) !== null,
  );
  const lengthOf = ({ operand }: Load): number => at(operands, operand).length;
  const [first, ...others] = loads;
  if (first === undefined) return null;
  return others.reduce((largest, load) => (lengthOf(load) > lengthOf(largest) ? load : largest), first).at;
}
