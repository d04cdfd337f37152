import { atOnce, EvenkeelError } from "../../engine/index.ts";
import { addingProduct } from "./matrixProduct.ts";
import type { FeatureStatistics } from "./statistics.ts";
import { decomposing, findingEigenvalues } from "./symmetricEigen.ts";

/** A set that others are compared with. Made once, because its decomposition takes most of the time. */
export type FrechetReference = {
  readonly statistics: FeatureStatistics;
  /** Eigenvalues of the covariance that aren't rounding, ascending. */
  readonly variances: Float64Array;
  /** A [variances, dimension] with A' A = covariance: eigenvectors times the roots of their values. */
  readonly factor: Float64Array;
};

/**
 * Statistics as {@link frechetDistance} compares others with them.
 * @throws EvenkeelError `value` for statistics that aren't finite.
 * @example
 * ```ts
 * const reference = frechetReference(featureStatistics(Float32Array.of(0, 2), 1));
 * console.log(reference.variances); // Float64Array(1) [ 2 ]
 * ```
 */
export function frechetReference(statistics: FeatureStatistics): FrechetReference {
  return atOnce(makingReference(statistics));
}

/** The same with pauses. */
export function* makingReference(statistics: FeatureStatistics): Generator<void, FrechetReference> {
  const { dimension, covariance } = statistics;
  const { values, vectors } = yield* decomposing(covariance, dimension);
  const first = values.findIndex((value) => value > negligible(values));
  const from = first < 0 ? dimension : first;
  const variances = values.slice(from);
  const factor = vectors.slice(from * dimension);
  for (const [i, variance] of variances.entries()) {
    for (let k = i * dimension; k < (i + 1) * dimension; k++) factor[k] = (factor[k] ?? 0) * Math.sqrt(variance);
  }
  return { statistics, variances, factor };
}

/** What rounding may make of an eigenvalue 0. Its root would be a million times that. */
function negligible(values: Float64Array): number {
  return values.length * Number.EPSILON * Math.max(values.at(-1) ?? 0, 0);
}

/** A Fréchet distance and its two parts. */
export type FrechetDistance = {
  readonly distance: number;
  /** Squared distance of the means. */
  readonly means: number;
  /** tr(S1 + S2 - 2 (S1 S2)^1/2). */
  readonly covariances: number;
};

/**
 * The Fréchet distance |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2) of the Gaussians with these means and covariances (Dowson and Landau 1982;
 * Heusel et al. 2017). S1 S2 has the eigenvalues of the symmetric A S1 A' with S2 = A' A, whose roots are summed: with A = S2^1/2 that is
 * the usual form, and any other A gives the same.
 * @throws EvenkeelError `shape` for vectors of another length.
 * @example
 * ```ts
 * const reference = frechetReference(featureStatistics(Float32Array.of(0, 2), 1));
 * const { distance, means } = frechetDistance(featureStatistics(Float32Array.of(3, 5), 1), reference);
 * console.log(distance, means); // 9 9
 * ```
 */
export function frechetDistance(statistics: FeatureStatistics, reference: FrechetReference): FrechetDistance {
  return atOnce(measuringFrechet(statistics, reference));
}

/** The same with pauses. */
export function* measuringFrechet(
  statistics: FeatureStatistics,
  reference: FrechetReference,
): Generator<void, FrechetDistance> {
  const { dimension, mean, covariance } = statistics;
  const { statistics: other, factor, variances } = reference;
  if (dimension !== other.dimension) {
    throw new EvenkeelError(
      "shape",
      `Fréchet distance: vectors have ${dimension} features and those of the reference ${other.dimension}.`,
    );
  }
  const rank = variances.length;
  const rows = { data: factor, offset: 0, stride: dimension, rows: rank };
  const half = { data: new Float64Array(rank * dimension), offset: 0, stride: dimension, rows: rank };
  yield* addingProduct(
    half,
    rows,
    { data: covariance, offset: 0, stride: dimension, rows: dimension },
    dimension,
    1,
    "all",
  );
  const product = { data: new Float64Array(rank * rank), offset: 0, stride: rank, rows: rank };
  yield* addingProduct(product, half, rows, dimension, 1, "lower");
  const values = yield* findingEigenvalues(product.data, rank);
  const smallest = negligible(values);
  let [roots, traces, means] = [0, 0, 0];
  for (const value of values) if (value > smallest) roots += Math.sqrt(value);
  for (let k = 0; k < dimension; k++) {
    traces += (covariance[k * (dimension + 1)] ?? 0) + (other.covariance[k * (dimension + 1)] ?? 0);
    means += ((mean[k] ?? 0) - (other.mean[k] ?? 0)) ** 2;
  }
  const covariances = traces - 2 * roots;
  return { distance: means + covariances, means, covariances };
}

/**
 * What the Fréchet distance of `count` vectors is expected to be if they are of the reference's own distribution, and Gaussian: its bias.
 * The mean contributes tr(S) and the covariance sum over i, j of (1 + [i = j]) l_i l_j / (2 (l_i + l_j)), with l the eigenvalues of S, each
 * over the number of vectors: the second order of the distance in the covariance's error. Both sets' errors count. It is an expansion for
 * many vectors: below twice the dimension it is only an order of magnitude.
 */
export function frechetBias({ variances, statistics }: FrechetReference, count: number): number {
  let [trace, pairs] = [0, 0];
  for (const [i, a] of variances.entries()) {
    trace += a;
    pairs += a / 2;
    for (let j = 0; j < i; j++) {
      const b = variances[j] ?? 0;
      pairs += (a * b) / (a + b);
    }
  }
  const errors = 1 / count + 1 / statistics.count;
  return (trace + pairs) * errors;
}
