import { atOnce, EvenkeelError } from "../../engine/index.ts";
import { addingProduct } from "./matrixProduct.ts";

/** Mean and covariance of feature vectors: all that the Fréchet distance sees of a set. */
export type FeatureStatistics = {
  readonly count: number;
  /** Numbers in a vector. */
  readonly dimension: number;
  /** [dimension]. */
  readonly mean: Float64Array;
  /** [dimension, dimension], unbiased: divided by count - 1. */
  readonly covariance: Float64Array;
};

/** Vectors that are added to the sums at a time. */
const blockRows = 256;

/**
 * Adds feature vectors up, in float64. The result is the same bit for bit however the vectors are split among calls. Sums are of the
 * differences from the first vector, so that a common offset costs no digits.
 */
export class StatisticsAccumulator {
  /** Numbers in a vector. */
  readonly dimension: number;
  #count = 0;
  readonly #origin: Float64Array;
  readonly #sum: Float64Array;
  /** Lower triangle of the sum of x x'. */
  readonly #products: Float64Array;
  /** Vectors not added yet, transposed: [dimension, blockRows]. */
  readonly #block: Float64Array;
  #pending = 0;

  constructor(dimension: number) {
    this.dimension = dimension;
    this.#origin = new Float64Array(dimension);
    this.#sum = new Float64Array(dimension);
    this.#products = new Float64Array(dimension * dimension);
    this.#block = new Float64Array(dimension * blockRows);
  }

  /** Vectors taken so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Takes vectors [N, dimension].
   * @throws EvenkeelError `shape` for another length, `value` for a number that isn't finite.
   */
  add(features: Float32Array): void {
    atOnce(this.adding(features));
  }

  /** The same with pauses. It must be gone through before the next call. */
  *adding(features: Float32Array): Generator<void, void> {
    const { dimension } = this;
    if (features.length % dimension !== 0) {
      throw new EvenkeelError("shape", `statistics: ${features.length} numbers are not vectors of ${dimension}.`);
    }
    for (let from = 0; from < features.length; from += dimension) {
      for (let k = 0; k < dimension; k++) {
        const value = features[from + k] ?? 0;
        if (!Number.isFinite(value)) {
          throw new EvenkeelError("value", `statistics: feature ${k} of vector ${this.#count} is ${value}.`);
        }
        if (this.#count === 0) this.#origin[k] = value;
        this.#block[k * blockRows + this.#pending] = value - (this.#origin[k] ?? 0);
      }
      this.#count++;
      if (++this.#pending === blockRows) yield* this.#flushing();
    }
  }

  /** @throws EvenkeelError `value` for fewer than two vectors, which have no covariance. */
  finish(): FeatureStatistics {
    return atOnce(this.finishing());
  }

  /** The same with pauses. */
  *finishing(): Generator<void, FeatureStatistics> {
    const [{ dimension }, count] = [this, this.#count];
    if (count < 2)
      throw new EvenkeelError("value", `statistics: a covariance needs two vectors or more, got ${count}.`);
    yield* this.#flushing();
    const mean = this.#sum.map((sum) => sum / count);
    const covariance = new Float64Array(dimension * dimension);
    for (let i = 0; i < dimension; i++) {
      for (let j = 0; j <= i; j++) {
        const centred = (this.#products[i * dimension + j] ?? 0) - (this.#sum[i] ?? 0) * (mean[j] ?? 0);
        covariance[i * dimension + j] = covariance[j * dimension + i] = centred / (count - 1);
      }
      yield;
    }
    return { count, dimension, mean: mean.map((value, k) => value + (this.#origin[k] ?? 0)), covariance };
  }

  *#flushing(): Generator<void, void> {
    const [{ dimension }, pending] = [this, this.#pending];
    if (pending === 0) return;
    const rows = { data: this.#block, offset: 0, stride: blockRows, rows: dimension };
    const products = { data: this.#products, offset: 0, stride: dimension, rows: dimension };
    yield* addingProduct(products, rows, rows, pending, 1, "lower");
    for (let k = 0; k < dimension; k++) {
      for (let i = 0; i < pending; i++) this.#sum[k] = (this.#sum[k] ?? 0) + (this.#block[k * blockRows + i] ?? 0);
    }
    this.#pending = 0;
  }
}

/**
 * Mean and covariance of vectors [N, dimension]. @throws EvenkeelError `value` for fewer than two, or numbers that aren't finite.
 * @example
 * ```ts
 * const { mean, covariance } = featureStatistics(Float32Array.of(0, 0, 2, 4), 2);
 * console.log(mean, covariance); // Float64Array(2) [ 1, 2 ] Float64Array(4) [ 2, 4, 4, 8 ]
 * ```
 */
export function featureStatistics(features: Float32Array, dimension: number): FeatureStatistics {
  const accumulator = new StatisticsAccumulator(dimension);
  accumulator.add(features);
  return accumulator.finish();
}
