/** Running sums and products along an axis, and products over axes. */
import { at, normalizeAxes, normalizeAxis } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { padAlong, sliceAlong } from "./alongAxis.ts";
import { iota } from "./creation.ts";
import { add, cast, less, lessEqual, multiply, where } from "./elementwise.ts";
import { expandDims, flip, reshape } from "./movement.ts";
import { type ReduceOptions, reduceSum } from "./reduce.ts";

/** Options of `cumulativeSum` and `cumulativeProduct`. */
export type CumulativeOptions = {
  /** Leave each element itself out: the first result is that of no elements. Default: false. */
  readonly exclusive?: boolean | undefined;
  /** From the end on. Default: false. */
  readonly reverse?: boolean | undefined;
};

/** Elements whose running sums are formed one by one: what one chunk of a sum holds. */
const blockLength = 32;

/**
 * Sums of the elements up to each along an axis. f32, i32 and u32, which wrap; bool is counted as i32. A NaN or an infinity reaches what
 * comes behind it alone. Blocks of 32 elements are summed up one by one, and what comes before each block is the running sum over blocks: an
 * f32 is off by at most 33 roundings of the sum of magnitudes for each factor of 32 in the length. The derivative is the reversed sum.
 * @example
 * ```ts
 * console.log(await cumulativeSum(tensor([[1, 2], [3, 4]]), 0).array()); // [ [ 1, 2 ], [ 4, 6 ] ]
 * console.log(await cumulativeSum(tensor([1, 2, 3]), -1, { exclusive: true }).array()); // [ 0, 1, 3 ]
 * ```
 */
export function cumulativeSum(x: Tensor, axis = -1, options: CumulativeOptions = {}): Tensor {
  const along = normalizeAxis("cumulativeSum", axis, x.rank);
  const counted = x.dtype === "bool" ? cast(x, "i32") : x;
  return x.size === 0 ? counted : runningSum(counted, along, options);
}

function runningSum(x: Tensor, axis: number, options: CumulativeOptions): Tensor {
  const size = at(x.shape, axis);
  if (size <= blockLength) return sumOfEarlier(x, axis, options);
  const blocks = Math.ceil(size / blockLength);
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const cut = reshape(padAlong(x, axis, 0, blocks * blockLength - size, 0), [...before, blocks, blockLength, ...after]);
  const totals = reduceSum(cut, { axes: axis + 1 });
  const earlier = runningSum(totals, axis, { ...options, exclusive: true });
  const sums = add(sumOfEarlier(cut, axis + 1, options), expandDims(earlier, axis + 1));
  return sliceAlong(reshape(sums, [...before, blocks * blockLength, ...after]), axis, 0, size);
}

/** Running sums, each of its elements one by one. */
function sumOfEarlier(x: Tensor, axis: number, { exclusive = false, reverse = false }: CumulativeOptions): Tensor {
  const size = at(x.shape, axis);
  const square = [...x.shape.slice(0, axis), size, ...x.shape.slice(axis)];
  const [mine, other] = [iota(square, axis), iota(square, axis + 1)];
  const [first, second] = reverse ? [mine, other] : [other, mine];
  const counts = exclusive ? less(first, second) : lessEqual(first, second);
  return reduceSum(where(counts, expandDims(x, axis), 0), { axes: axis + 1 });
}

/**
 * Products of the elements up to each along an axis, over distances of 1, 2, 4 and so on. f32, i32 and u32, which wrap; bool is counted as
 * i32. A zero, NaN or infinity reaches what comes behind it alone. Derivatives are right where elements are 0, too.
 * @example console.log(await cumulativeProduct(tensor([1, 2, 3, 4])).array()); // [ 1, 2, 6, 24 ]
 */
export function cumulativeProduct(x: Tensor, axis = -1, options: CumulativeOptions = {}): Tensor {
  const along = normalizeAxis("cumulativeProduct", axis, x.rank);
  const counted = x.dtype === "bool" ? cast(x, "i32") : x;
  const { exclusive = false, reverse = false } = options;
  if (x.size === 0) return counted;
  if (reverse) return flip(cumulativeProduct(flip(counted, along), along, { exclusive }), along);
  const size = at(x.shape, along);
  let products = exclusive ? padAlong(sliceAlong(counted, along, 0, size - 1), along, 1, 0, 1) : counted;
  for (let distance = 1; distance < size; distance *= 2) {
    products = multiply(products, padAlong(sliceAlong(products, along, 0, size - distance), along, distance, 0, 1));
  }
  return products;
}

/**
 * Product over axes; 1 where they are empty. f32, i32 and u32, which wrap; bool is counted as i32. Halves are multiplied again and again, so
 * that derivatives are right where elements are 0, too. Where the product of some of the elements is beyond float32 the result is infinite or
 * NaN, even if the whole isn't: take the sum of logarithms of absolute values there.
 * @example console.log(await product(tensor([[1, 2], [3, 4]]), { axes: 1 }).array()); // [ 2, 12 ]
 */
export function product(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = normalizeAxes("product", options.axes, x.rank);
  let result = x.dtype === "bool" ? cast(x, "i32") : x;
  for (const axis of axes) result = productAlong(result, axis);
  if (options.keepAxes === true) return result;
  return reshape(
    result,
    result.shape.filter((_, axis) => !axes.includes(axis)),
  );
}

function productAlong(x: Tensor, axis: number): Tensor {
  let result = at(x.shape, axis) === 0 ? padAlong(x, axis, 0, 1, 1) : x;
  for (let size = at(result.shape, axis); size > 1; size = at(result.shape, axis)) {
    const half = Math.ceil(size / 2);
    const rest = padAlong(sliceAlong(result, axis, half, size), axis, 0, 2 * half - size, 1);
    result = multiply(sliceAlong(result, axis, 0, half), rest);
  }
  return result;
}
