/**
 * Matrix products with packed operands. A kernel that sums products of two loads is one, whatever its axes are called: some of
 * them move only in one load (rows), others only in the other (columns), the rest in both or in neither (outer).
 */
import type { Kernel, Scalar } from "../../../../kernel/kernel.ts";

export type Load = Extract<Scalar, { readonly kind: "load" }>;

export type Product = {
  /** What rows are read from. */
  readonly left: Load;
  /** What columns are read from. */
  readonly right: Load;
  readonly row: number;
  /** The axis along which results are neighbours in memory. */
  readonly column: number;
  /** Other parallel axes. */
  readonly outer: readonly number[];
  readonly reduce: readonly number[];
  readonly parts: Parts;
  /** Whether rows are packed first because their numbers are apart from each other. */
  readonly packsRows: boolean;
  /** Whether threads share the first axis, and finish what is theirs as soon as it is summed. */
  readonly sharesFirst: boolean;
};

/**
 * Sums are made in parts, whose packed columns fit into the first cache. That also keeps them accurate: one of n products is off by
 * the roundings of a part and of the sum of the parts, not by n.
 */
export type Parts = {
  /** Each position on these reduce axes has parts of its own. */
  readonly outer: readonly number[];
  /** Then comes an axis that is cut into parts of `length`, the last of which may be shorter. */
  readonly axis: number;
  readonly length: number;
  /** What a part has whole. */
  readonly inner: readonly number[];
};

/** Vectors of a packed panel of columns. */
export const panelVectors = 4;

/** Numbers of a packed column that stay in the first cache. */
const cachedDepth = 384;
/** Products with fewer numbers to sum than this don't pay for packing. */
const leastDepth = 8;

/** How to compute a normalised kernel as a packed matrix product, or null if it is none. */
export function productOf(kernel: Kernel): Product | null {
  const { reduction, stores } = kernel;
  if (reduction?.op !== "sum" || stores.length > 1) return null;
  const { body } = reduction;
  if (body.kind !== "binary" || body.op !== "multiply" || body.dtype !== "f32") return null;
  if (stores[0].dtype !== "f32" || body.x.kind !== "load" || body.y.kind !== "load") return null;
  return productOfSides(kernel, body.x, body.y) ?? productOfSides(kernel, body.y, body.x);
}

function productOfSides(kernel: Kernel, left: Load, right: Load): Product | null {
  const { axes, stores } = kernel;
  const [result] = stores;
  const size = (axis: number): number => axes[axis]?.size ?? 0;
  const parallel = axes.flatMap(({ role }, axis) => (role === "parallel" ? [axis] : []));
  const reduce = axes.flatMap(({ role }, axis) => (role === "reduce" ? [axis] : []));
  const isOnlyIn = (axis: number, load: Load, other: Load): boolean =>
    (load.at.coefficients[axis] ?? 0) !== 0 && (other.at.coefficients[axis] ?? 0) === 0;
  const column = parallel.find(
    (axis) => result.at.coefficients[axis] === 1 && isOnlyIn(axis, right, left) && size(axis) % 4 === 0,
  );
  const row = parallel
    .filter((axis) => isOnlyIn(axis, left, right) && (result.at.coefficients[axis] ?? 0) > 0)
    .sort((a, b) => size(b) - size(a))[0];
  if (column === undefined || row === undefined || size(row) < 4 || axes.some((axis) => axis.size === 0)) return null;
  const depth = reduce.reduce((product, axis) => product * size(axis), 1);
  // Places of a tile are immediate offsets, which can't be negative.
  const steps = [
    ...[row, ...reduce].map((axis) => left.at.coefficients[axis] ?? 0),
    ...[column, ...reduce].map((axis) => right.at.coefficients[axis] ?? 0),
  ];
  if (depth < leastDepth || steps.some((step) => step < 0)) return null;
  const outer = parallel.filter((axis) => axis !== row && axis !== column);
  return {
    left,
    right,
    row,
    column,
    outer,
    reduce,
    parts: partsOf(reduce, size),
    packsRows: reduce.length > 1 || left.at.coefficients[reduce[0] ?? 0] !== 1,
    sharesFirst: outer.includes(0) && size(0) >= 8,
  };
}

/** Parts of at most `cachedDepth` numbers, as few and as equal as can be. */
function partsOf(reduce: readonly number[], size: (axis: number) => number): Parts {
  let depth = 1;
  let place = reduce.length - 1;
  for (; place > 0 && depth * size(reduce[place] ?? 0) <= cachedDepth; place--) depth *= size(reduce[place] ?? 0);
  const axis = reduce[place] ?? 0;
  const parts = Math.ceil(size(axis) / Math.max(1, Math.floor(cachedDepth / depth)));
  return {
    outer: reduce.slice(0, place),
    axis,
    length: Math.ceil(size(axis) / parts),
    inner: reduce.slice(place + 1),
  };
}
