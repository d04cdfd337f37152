/**
 * Rewrites a kernel to the fewest axes that say the same: axes of size 1 go, neighbours of one role through which every
 * address runs as through a single axis become one. Loops get longer and devices see the true shape of the work: every
 * element-wise kernel without broadcasting, for example, becomes one-dimensional.
 */
import { at } from "../graph/shape.ts";
import type { Affine, Axis, Kernel, Scalar, Store, Stores } from "./kernel.ts";
import { mapAffine, mapChildren, rewriter, rootsOf, scalarsOf } from "./scalar.ts";

/**
 * The same kernel over fewer axes. Expressions stay shared where they were.
 * @param options.keepFirst the first axis stays as it is
 */
export function normalizeKernel(kernel: Kernel, { keepFirst = false } = {}): Kernel {
  return mergeAxes(dropUnitAxes(kernel), keepFirst ? 1 : 0);
}

/** The same kernel without axes of size 1. */
export function dropUnitAxes(kernel: Kernel): Kernel {
  const kept = kernel.axes.flatMap(({ size }, axis) => (size === 1 ? [] : [axis]));
  if (kept.length === kernel.axes.length) return kernel;
  return withoutEmptyReduction(
    rewriteKernel(
      kernel,
      kept.map((axis) => axisOf(kernel, axis)),
      {
        affine: ({ offset, coefficients }) => ({ offset, coefficients: kept.map((axis) => at(coefficients, axis)) }),
        axis: (axis) => kept.indexOf(axis),
      },
    ),
  );
}

/** If no reduce axis is left, the fold is of a single value: what is stored takes it directly. */
function withoutEmptyReduction(kernel: Kernel): Kernel {
  const { reduction } = kernel;
  if (reduction === null || kernel.axes.some(({ role }) => role === "reduce")) return kernel;
  // A sum starts at 0, which makes -0 to 0.
  const { body } = reduction;
  const folded: Scalar =
    reduction.op === "sum" && body.dtype === "f32"
      ? { kind: "binary", dtype: "f32", op: "add", x: { kind: "literal", dtype: "f32", value: 0 }, y: body }
      : body;
  return withValues(
    { ...kernel, reduction: null },
    rewriter((scalar) => (scalar.kind === "accumulator" ? folded : undefined)),
  );
}

function mergeAxes(kernel: Kernel, first: number): Kernel {
  let merged = kernel;
  for (let axis = merged.axes.length - 2; axis >= first; axis--) {
    if (mayMerge(merged, axis)) merged = mergeWithNext(merged, axis);
  }
  return merged;
}

/**
 * The same kernel with neighbouring axes made one where they may be and belong to one group.
 * @param groups a number for each axis
 * @returns the kernel and the groups of its axes
 */
export function mergeWithin(
  kernel: Kernel,
  groups: readonly number[],
): { readonly kernel: Kernel; readonly groups: readonly number[] } {
  let merged = kernel;
  const kept = [...groups];
  for (let axis = merged.axes.length - 2; axis >= 0; axis--) {
    if (kept[axis] !== kept[axis + 1] || !mayMerge(merged, axis)) continue;
    merged = mergeWithNext(merged, axis);
    kept.splice(axis, 1);
  }
  return { kernel: merged, groups: kept };
}

/** Whether a * next.size + b, for axes a and its next b, may be one axis: `a` steps over exactly the range of `b` everywhere. */
export function mayMerge(kernel: Kernel, axis: number): boolean {
  const [outer, inner] = [axisOf(kernel, axis), axisOf(kernel, axis + 1)];
  if (outer.role !== inner.role || outer.size === 0 || inner.size === 0) return false;
  const runsThrough = ({ coefficients }: Affine): boolean =>
    at(coefficients, axis) === at(coefficients, axis + 1) * inner.size;
  return (
    kernel.stores.every((store) => runsThrough(store.at)) &&
    scalarsOf(...rootsOf(kernel)).every((scalar) => {
      switch (scalar.kind) {
        case "load":
        case "gather":
        case "index":
        case "within":
          return runsThrough(scalar.at);
        case "region":
          return scalar.axis !== axis && scalar.axis !== axis + 1;
        default:
          return true;
      }
    })
  );
}

/** The same kernel with an axis and the next one as one, which they may be. */
export function mergeWithNext(kernel: Kernel, axis: number): Kernel {
  const [outer, inner] = [axisOf(kernel, axis), axisOf(kernel, axis + 1)];
  const axes = kernel.axes.flatMap((other, index) =>
    index === axis ? [{ role: outer.role, size: outer.size * inner.size }] : index === axis + 1 ? [] : [other],
  );
  return rewriteKernel(kernel, axes, {
    affine: ({ offset, coefficients }) => ({ offset, coefficients: coefficients.filter((_, index) => index !== axis) }),
    axis: (index) => (index > axis ? index - 1 : index),
  });
}

/** How a kernel's axes are renamed. */
export type Rewrite = {
  readonly affine: (affine: Affine) => Affine;
  /** The new number of an axis; -1 if it is gone and stood at 0. */
  readonly axis: (axis: number) => number;
};

/** A kernel over other axes. Expressions stay shared where they were. */
export function rewriteKernel(kernel: Kernel, axes: readonly Axis[], { affine, axis }: Rewrite): Kernel {
  const rewritten = rewriter((scalar, rewrite) => {
    if (scalar.kind !== "region") return mapChildren(mapAffine(scalar, affine), rewrite);
    const renamed = axis(scalar.axis);
    if (renamed < 0) return rewrite(scalar.start <= 0 && 0 < scalar.stop ? scalar.inside : scalar.outside);
    return mapChildren({ ...scalar, axis: renamed }, rewrite);
  });
  const reduction = kernel.reduction && { op: kernel.reduction.op, body: rewritten(kernel.reduction.body) };
  const moved = mapStores(kernel.stores, (store) => ({ ...store, at: affine(store.at) }));
  return withValues({ ...kernel, axes, reduction, stores: moved }, rewritten);
}

/** A kernel that stores other values. */
export function withValues(kernel: Kernel, map: (value: Scalar) => Scalar): Kernel {
  return { ...kernel, stores: mapStores(kernel.stores, (store) => ({ ...store, value: map(store.value) })) };
}

function mapStores([first, ...others]: Stores, map: (store: Store) => Store): Stores {
  return [map(first), ...others.map(map)];
}

function axisOf(kernel: Kernel, axis: number): Axis {
  const found = kernel.axes[axis];
  if (found === undefined) throw new RangeError(`kernel ${kernel.name} has no axis ${axis}`);
  return found;
}
