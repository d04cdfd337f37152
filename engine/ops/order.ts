/**
 * Sorting, as compositions: few elements by counting for each how many come before it; many in blocks sorted so, of which neighbours are
 * merged again and again. Every step is a loop over all elements that takes others by index, so all devices can share it.
 */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape, normalizeAxis, sizeOf } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { gatherAlong, scatterAlong } from "./alongAxis.ts";
import { iota, zerosLike } from "./creation.ts";
import {
  add,
  and,
  cast,
  equal,
  less,
  lessEqual,
  maximum,
  minimum,
  multiply,
  not,
  or,
  stopGradient,
  subtract,
  where,
} from "./elementwise.ts";
import { broadcastTo, expandDims, pad, permute, reshape, slice } from "./movement.ts";
import { reduceSum } from "./reduce.ts";

/** Along which axis to sort, and which way. */
export type SortOptions = {
  /** Default: the last. */
  readonly axis?: number | undefined;
  /** Largest first. Default: false. */
  readonly descending?: boolean | undefined;
};

/**
 * x sorted along an axis. NaN counts as larger than all numbers, as in NumPy and PyTorch: last, or first if descending. -0 and 0 are equal.
 * Equal elements keep their order, so that the derivative of each goes where it came from. n elements take n^2 comparisons up to 128, then
 * n log(n)^2.
 * @example
 * ```ts
 * console.log(await sort(tensor([3, NaN, 1, 2])).array()); // [ 1, 2, 3, NaN ]
 * console.log(await sort(tensor([1, 3, 2]), { descending: true }).array()); // [ 3, 2, 1 ]
 * ```
 */
export function sort(x: Tensor, options: SortOptions = {}): Tensor {
  const axis = sortAxis("sort", x, options);
  return gatherAlong(x, sortedOrder(x, axis, options.descending === true), axis);
}

/**
 * The indices (i32) along an axis that sort x as {@link sort} does: `takeAlongAxis(x, argsort(x))` is `sort(x)`. Stable.
 * @example console.log(await argsort(tensor([3, 1, 2])).array()); // [ 1, 2, 0 ]
 */
export function argsort(x: Tensor, options: SortOptions = {}): Tensor {
  return sortedOrder(x, sortAxis("argsort", x, options), options.descending === true);
}

/** Options of `topK`. */
export type TopKOptions = {
  /** Default: the last. */
  readonly axis?: number | undefined;
  /** The largest elements, or the smallest. Default: true. */
  readonly largest?: boolean | undefined;
};

/**
 * The k largest elements along an axis, largest first (or the smallest, smallest first), and their indices (i32). NaN counts as largest. Of
 * equal elements those with the smaller index come first. The derivative goes to the elements that were taken.
 * @throws EvenkeelError `range` unless k is a whole number from 0 to the size of the axis.
 * @example
 * ```ts
 * const { values, indices } = topK(tensor([3, 9, 1, 7]), 2);
 * console.log(await values.array(), await indices.array()); // [ 9, 7 ] [ 1, 3 ]
 * ```
 */
export function topK(
  x: Tensor,
  k: number,
  options: TopKOptions = {},
): { readonly values: Tensor; readonly indices: Tensor } {
  const axis = sortAxis("topK", x, options);
  const size = at(x.shape, axis);
  if (!Number.isInteger(k) || k < 0 || k > size) {
    throw new EvenkeelError(
      "range",
      `topK: k ${k} is not a whole number from 0 to ${size}, the size of axis ${axis} of ${formatShape(x.shape)}.`,
    );
  }
  const indices = inRows(x, axis, (rows) =>
    k === 0 ? slice(iota(rows.shape, 1), [null, [0, 0]]) : firstOfOrder(rows, k, options.largest ?? true),
  );
  return { values: gatherAlong(x, indices, axis), indices };
}

function sortAxis(operation: string, x: Tensor, { axis = -1 }: { readonly axis?: number | undefined }): number {
  return normalizeAxis(operation, axis, x.rank);
}

/** @internal The indices along an axis that sort x. */
export function sortedOrder(x: Tensor, axis: number, descending: boolean): Tensor {
  return inRows(x, axis, (rows) => orderOf(rows, descending));
}

/** Of a function of rows [R, n] that gives [R, k]: its result for an axis of x. */
function inRows(x: Tensor, axis: number, f: (rows: Tensor) => Tensor): Tensor {
  const size = at(x.shape, axis);
  const last = x.shape.map((_, i) => i).filter((i) => i !== axis);
  const outer = last.map((i) => at(x.shape, i));
  const numbers = stopGradient(x.dtype === "bool" ? cast(x, "i32") : x);
  const rows = f(reshape(permute(numbers, [...last, axis]), [sizeOf(outer), size]));
  const result = reshape(rows, [...outer, at(rows.shape, 1)]);
  return permute(
    result,
    x.shape.map((_, i) => (i < axis ? i : i === axis ? last.length : i - 1)),
  );
}

/** Of no more elements each is compared with all. */
const mostCounted = 128;

/** Which way elements are sorted, and what may follow behind all of them. */
type Order = {
  readonly descending: boolean;
  /** Whether a has to come before b, where they are not equal. */
  readonly isBefore: (a: Tensor, b: Tensor) => Tensor;
  readonly last: number;
};

function orderFor({ dtype }: Tensor, descending: boolean): Order {
  const isLess = (a: Tensor, b: Tensor): Tensor =>
    // NaN is larger than all that equals itself.
    dtype === "f32" ? and(not(lessEqual(b, a)), equal(a, a)) : less(a, b);
  const [lowest, highest] =
    dtype === "f32" ? [-Infinity, NaN] : dtype === "u32" ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
  return { descending, isBefore: descending ? (a, b) => isLess(b, a) : isLess, last: descending ? lowest : highest };
}

/** The indices [R, n] that sort rows [R, n]. */
function orderOf(rows: Tensor, descending: boolean): Tensor {
  const [count, size] = [at(rows.shape, 0), at(rows.shape, 1)];
  const order = orderFor(rows, descending);
  if (size <= mostCounted) return counted(rows, order, size);
  let runs = 2;
  while (size > runs * mostCounted) runs *= 2;
  let length = Math.ceil(size / runs);
  let sorted = inBlocks(rows, runs, length, order, length);
  for (; runs > 1; runs /= 2, length *= 2) {
    const pairs = [(count * runs) / 2, 2 * length];
    const keys = reshape(sorted.keys, pairs);
    const from = merged(keys, order);
    sorted = { keys: gatherAlong(keys, from, 1), indices: gatherAlong(reshape(sorted.indices, pairs), from, 1) };
  }
  // What was added at the end is behind all else.
  return slice(reshape(sorted.indices, [count, length]), [null, [0, size]]);
}

/** The first k [R, k] of the indices that sort rows: those of blocks of at least four times as many, then those of all these. */
function firstOfOrder(rows: Tensor, k: number, descending: boolean): Tensor {
  const order = orderFor(rows, descending);
  const length = Math.max(mostCounted, 4 * k);
  let keys = rows;
  let indices: Tensor | null = null;
  while (k <= mostCounted && at(keys.shape, 1) > length) {
    const blocks = Math.ceil(at(keys.shape, 1) / length);
    const best = inBlocks(keys, blocks, length, order, k);
    const shape = [at(rows.shape, 0), blocks * k];
    keys = reshape(best.keys, shape);
    const places = reshape(best.indices, shape);
    indices = indices === null ? places : gatherAlong(padded(indices, blocks * length, 0), places, 1);
  }
  const isShort = at(keys.shape, 1) <= length;
  const first = isShort ? counted(keys, order, k) : slice(orderOf(keys, descending), [null, [0, k]]);
  return indices === null ? first : gatherAlong(indices, first, 1);
}

/** Keys in order, and where in their rows they come from. */
type Sorted = { readonly keys: Tensor; readonly indices: Tensor };

/** The first k of each of some blocks of every row: [R * blocks, k]. */
function inBlocks(rows: Tensor, blocks: number, length: number, order: Order, k: number): Sorted {
  const count = at(rows.shape, 0) * blocks;
  const keys = reshape(padded(rows, blocks * length, order.last), [count, length]);
  const within = counted(keys, order, k);
  const starts = reshape(broadcastTo(iota([1, blocks, 1], 1), [at(rows.shape, 0), blocks, k]), [count, k]);
  const indices = add(within, multiply(starts, length));
  return { keys: gatherAlong(keys, within, 1), indices };
}

/** Rows [R, n] with `value` up to [R, length]. */
function padded(rows: Tensor, length: number, value: number): Tensor {
  return pad(
    rows,
    [
      [0, 0],
      [0, length - at(rows.shape, 1)],
    ],
    value,
  );
}

/** The indices of the first k of each row [R, n]: an element's place is the number of those before it. */
function counted(rows: Tensor, { descending }: Order, k: number): Tensor {
  const { shape } = rows;
  if (sizeOf(shape) === 0) return iota([at(shape, 0), k], 1);
  const own = iota(shape, 1);
  const isNumber = equal(rows, rows);
  // NaN is beside infinity, and among equal elements behind all others, or before them.
  const keys = rows.dtype === "f32" ? where(isNumber, rows, Infinity) : rows;
  const size = at(shape, 1);
  const ranks = rows.dtype === "f32" ? where(isNumber, own, add(own, descending ? -size : size)) : own;
  const pair = (x: Tensor): readonly [Tensor, Tensor] => [expandDims(x, 2), expandDims(x, 1)];
  const [[mine, other], [myRank, otherRank]] = [pair(keys), pair(ranks)];
  const isFirst = descending ? less(mine, other) : less(other, mine);
  const comesBefore = or(isFirst, and(equal(mine, other), less(otherRank, myRank)));
  const place = reduceSum(cast(comesBefore, "i32"), { axes: 2 });
  // Places behind the first k are in no row of the result.
  return scatterAlong("sum", iota(shape, 1), place, 1, k);
}

/**
 * Of rows [Q, 2 L] whose halves are sorted, the indices that sort them. Of the first p elements in order, i come from the left half: the
 * largest i of which the last one comes before the right half's element p - i. All p are sought at once, by halving.
 */
function merged(keys: Tensor, { isBefore }: Order): Tensor {
  const length = at(keys.shape, 1) / 2;
  const p = iota(keys.shape, 1);
  const left = (index: Tensor): Tensor => gatherAlong(keys, minimum(index, length - 1), 1);
  const right = (index: Tensor): Tensor => gatherAlong(keys, add(minimum(maximum(index, 0), length - 1), length), 1);
  /** Whether the left half's element comes before the right half's, if that has one there. */
  const isLeft = (inLeft: Tensor, inRight: Tensor): Tensor =>
    or(lessEqual(length, inRight), not(isBefore(right(inRight), left(inLeft))));
  const most = minimum(p, length);
  let i = zerosLike(p);
  for (let step = 2 ** Math.floor(Math.log2(length)); step >= 1; step /= 2) {
    const next = add(i, step);
    const fits = and(lessEqual(next, most), isLeft(subtract(next, 1), subtract(p, next)));
    i = where(fits, next, i);
  }
  const inRight = subtract(p, i);
  return where(and(less(i, length), isLeft(i, inRight)), i, add(inRight, length));
}
