import { atOnce, EvenkeelError } from "../../engine/index.ts";
import { chooseIndices } from "./chooseIndices.ts";
import { addingProduct } from "./matrixProduct.ts";

/** Options of a kernel distance. */
export type KidOptions = {
  /** Random subsets of both sets whose estimates are averaged. Default 20. */
  readonly subsets?: number;
  /** Vectors in each. Default 500, or as many as there are. */
  readonly subsetSize?: number;
  /** Which subsets. Default 0. */
  readonly seed?: number;
};

/** A kernel distance: its expectation is 0 for equal distributions and doesn't depend on the number of vectors. */
export type KidEstimate = {
  readonly mean: number;
  /** Of the subsets' estimates. */
  readonly standardDeviation: number;
  /** Of the mean, as if subsets were independent: too small where they share most of their vectors. */
  readonly standardError: number;
  readonly subsets: number;
  readonly subsetSize: number;
};

/**
 * The kernel distance of two sets of vectors [N, dimension]: the unbiased estimate of the squared maximum mean discrepancy with the kernel
 * (x y / dimension + 1)^3 (Binkowski et al. 2018), averaged over random subsets.
 * @throws EvenkeelError `value` for options out of range and for sets of fewer vectors than a subset.
 * @example
 * ```ts
 * const vectors = (from: number): Float32Array => Float32Array.from({ length: 100 }, (_, i) => from + i / 100);
 * console.log(kernelDistance(vectors(0), vectors(0), 1, { subsetSize: 50 }).mean); // -0.01
 * console.log(kernelDistance(vectors(0), vectors(1), 1, { subsetSize: 50 }).mean); // 26.28
 * ```
 */
export function kernelDistance(
  features: Float32Array,
  reference: Float32Array,
  dimension: number,
  options: KidOptions = {},
): KidEstimate {
  return atOnce(measuringKernels(features, reference, dimension, options));
}

/** The same with pauses. */
export function* measuringKernels(
  features: Float32Array,
  reference: Float32Array,
  dimension: number,
  options: KidOptions = {},
): Generator<void, KidEstimate> {
  const counts = [features.length / dimension, reference.length / dimension] as const;
  const smallest = Math.min(...counts);
  const { subsets = 20, subsetSize = Math.min(500, smallest), seed = 0 } = options;
  if (!Number.isInteger(subsets) || subsets < 1) {
    throw new EvenkeelError("value", `kernel distance: ${subsets} subsets; wanted a whole number from 1 on.`);
  }
  if (!Number.isInteger(subsetSize) || subsetSize < 2 || subsetSize > smallest) {
    throw new EvenkeelError(
      "value",
      `kernel distance: subsets of ${subsetSize}; wanted 2 to ${smallest}, of which there are ${counts.join(" and ")}.`,
    );
  }
  const estimates: number[] = [];
  for (let i = 0; i < subsets; i++) {
    const x = pick(features, dimension, chooseIndices(counts[0], subsetSize, seed, 2 * i));
    const y = pick(reference, dimension, chooseIndices(counts[1], subsetSize, seed, 2 * i + 1));
    estimates.push(yield* findingDiscrepancy(x, y, subsetSize, dimension));
  }
  const mean = estimates.reduce((sum, value) => sum + value, 0) / subsets;
  const squares = estimates.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const standardDeviation = subsets < 2 ? Number.NaN : Math.sqrt(squares / (subsets - 1));
  return { mean, standardDeviation, standardError: standardDeviation / Math.sqrt(subsets), subsets, subsetSize };
}

function pick(features: Float32Array, dimension: number, rows: Uint32Array): Float64Array {
  const picked = new Float64Array(rows.length * dimension);
  for (const [i, row] of rows.entries()) {
    picked.set(features.subarray(row * dimension, (row + 1) * dimension), i * dimension);
  }
  return picked;
}

/** Means of the kernel within x, within y and between them, without the pairs of a vector with itself. */
function* findingDiscrepancy(
  x: Float64Array,
  y: Float64Array,
  count: number,
  dimension: number,
): Generator<void, number> {
  /** Over all pairs, or over those in which b's vector comes before a's. */
  function* summing(a: Float64Array, b: Float64Array, pairs: "all" | "before"): Generator<void, number> {
    const products = new Float64Array(count * count);
    const rows = (data: Float64Array, stride: number) => ({ data, offset: 0, stride, rows: count });
    const part = pairs === "all" ? "all" : "lower";
    yield* addingProduct(rows(products, count), rows(a, dimension), rows(b, dimension), dimension, 1, part);
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const end = pairs === "all" ? count : i;
      for (let j = 0; j < end; j++) sum += ((products[i * count + j] ?? 0) / dimension + 1) ** 3;
      yield;
    }
    return sum;
  }
  const [inX, inY] = [yield* summing(x, x, "before"), yield* summing(y, y, "before")];
  const within = (2 * (inX + inY)) / (count * (count - 1));
  return within - (2 * (yield* summing(x, y, "all"))) / (count * count);
}
