/**
 * Gaussian mixtures whose density and score are known in closed form at every noise level: adding noise of standard deviation
 * sigma adds sigma^2 to the eigenvalues of each component's covariance. The toy data of Karras et al. 2024, "Guiding a Diffusion
 * Model with a Bad Version of Itself", are such mixtures in the plane.
 */
import {
  add,
  concat,
  divide,
  EvenkeelError,
  expandDims,
  log,
  logSumExp,
  multiply,
  negate,
  reduceSum,
  reshape,
  softmax,
  square,
  subtract,
  type Tensor,
  tensor,
} from "../../engine/index.ts";

/** A mixture of K Gaussians in the plane, in float64. Row-major arrays. */
export type Mixture = {
  /** Shares of the components, [K]. */
  readonly weights: Float64Array;
  /** [K, 2] */
  readonly means: Float64Array;
  /** Eigenvalues of the covariances, [K, 2]. */
  readonly variances: Float64Array;
  /** Their eigenvectors: the first is (cos, sin), the second (-sin, cos). [K, 2]: cos and sin. */
  readonly axes: Float64Array;
};

/**
 * A mixture from its components' covariances [K, 2, 2].
 * @throws EvenkeelError `shape` for arrays that don't fit each other, `value` for a covariance that is not symmetric and positive
 * definite or a weight that is not above 0.
 * @example
 * ```ts
 * const mixture = createMixture(Float64Array.of(1), Float64Array.of(0, 0), Float64Array.of(1, 0, 0, 1));
 * console.log(mixtureDensity(mixture, 0, 0, 1).logDensity); // -2.531
 * ```
 */
export function createMixture(weights: Float64Array, means: Float64Array, covariances: Float64Array): Mixture {
  const count = weights.length;
  if (count === 0 || means.length !== 2 * count || covariances.length !== 4 * count) {
    throw new EvenkeelError(
      "shape",
      `createMixture: ${count} weights, ${means.length} of means and ${covariances.length} of covariances are not K, K x 2 and ` +
        "K x 2 x 2 numbers.",
    );
  }
  const [variances, axes] = [new Float64Array(2 * count), new Float64Array(2 * count)];
  for (let k = 0; k < count; k++) {
    const [a = NaN, upper = NaN, lower = NaN, c = NaN] = covariances.subarray(4 * k, 4 * k + 4);
    const b = (upper + lower) / 2;
    // Of [[a, b], [b, c]]: the larger eigenvalue's vector stands at this angle to the first axis.
    const angle = Math.atan2(2 * b, a - c) / 2;
    const larger = (a + c) / 2 + Math.hypot((a - c) / 2, b);
    const smaller = (a * c - b * b) / larger;
    // Products of matrices are symmetric up to some roundings of 2^-53.
    const isSymmetric = Math.abs(upper - lower) <= 2 ** -48 * (a + c);
    if (!isSymmetric || !(smaller > 0) || !((weights[k] ?? NaN) > 0)) {
      throw new EvenkeelError(
        "value",
        `createMixture: component ${k} has weight ${weights[k]} and covariance [[${a}, ${upper}], [${lower}, ${c}]]; expected a ` +
          "weight above 0 and a symmetric, positive definite covariance.",
      );
    }
    variances.set([larger, smaller], 2 * k);
    axes.set([Math.cos(angle), Math.sin(angle)], 2 * k);
  }
  return { weights, means, variances, axes };
}

/** What is known at one noisy point. */
export type MixtureDensity = {
  readonly logDensity: number;
  /** Gradient of the log density. The ideal denoiser answers the point plus sigma^2 times it. */
  readonly score: readonly [number, number];
  /** Trace of the covariance of the clean point given this one: the ideal denoiser's expected squared error. */
  readonly posteriorVariance: number;
};

/** Exponents of the components at one point; kept, because training asks for many points. */
let exponents = new Float64Array();

/** Below the largest exponent by so much, a component's share is too small to change a sum. */
const negligible = 45;

/**
 * The mixture blurred by noise of standard deviation `sigma`, at the point (x, y). Float64.
 * @example
 * ```ts
 * const mixture = createMixture(Float64Array.of(1), Float64Array.of(0, 0), Float64Array.of(1, 0, 0, 1));
 * const found = mixtureDensity(mixture, 2, 4, 1);
 * console.log(found.logDensity, found.score, found.posteriorVariance); // -7.531 [ -1, -2 ] 1
 * ```
 */
export function mixtureDensity(mixture: Mixture, x: number, y: number, sigma: number): MixtureDensity {
  const { weights, means, variances, axes } = mixture;
  const count = weights.length;
  const noise = sigma * sigma;
  if (exponents.length < count) exponents = new Float64Array(count);
  let largest = -Infinity;
  // Neighbours are often of the same weight and variances: the logarithm, the dearest part, is taken once for all of them.
  let lastWeight = NaN;
  let lastVolume = NaN;
  let logScale = 0;
  for (let k = 0; k < count; k++) {
    const weight = weights[k] ?? 0;
    const cos = axes[2 * k] ?? 0;
    const sin = axes[2 * k + 1] ?? 0;
    const v0 = (variances[2 * k] ?? 0) + noise;
    const v1 = (variances[2 * k + 1] ?? 0) + noise;
    const volume = v0 * v1;
    if (volume !== lastVolume || weight !== lastWeight) {
      logScale = Math.log(weight) - Math.log(volume) / 2;
      lastWeight = weight;
      lastVolume = volume;
    }
    // The point in the frame of the component's axes.
    const dx = x - (means[2 * k] ?? 0);
    const dy = y - (means[2 * k + 1] ?? 0);
    const u0 = cos * dx + sin * dy;
    const u1 = cos * dy - sin * dx;
    const exponent = logScale - (u0 * u0 * v1 + u1 * u1 * v0) / (2 * volume);
    exponents[k] = exponent;
    if (exponent > largest) largest = exponent;
  }
  let sum = 0;
  let scoreX = 0;
  let scoreY = 0;
  let squares = 0;
  let inner = 0;
  for (let k = 0; k < count; k++) {
    const below = (exponents[k] ?? 0) - largest;
    if (below < -negligible) continue;
    const share = Math.exp(below);
    const cos = axes[2 * k] ?? 0;
    const sin = axes[2 * k + 1] ?? 0;
    const dx = x - (means[2 * k] ?? 0);
    const dy = y - (means[2 * k + 1] ?? 0);
    const v0 = variances[2 * k] ?? 0;
    const v1 = variances[2 * k + 1] ?? 0;
    const s0 = (cos * dx + sin * dy) / (v0 + noise);
    const s1 = (cos * dy - sin * dx) / (v1 + noise);
    sum += share;
    scoreX += share * (sin * s1 - cos * s0);
    scoreY -= share * (sin * s0 + cos * s1);
    squares += share * (s0 * s0 + s1 * s1);
    inner += share * ((v0 * noise) / (v0 + noise) + (v1 * noise) / (v1 + noise));
  }
  const score = [scoreX / sum, scoreY / sum] as const;
  // Within the components, and between their own answers.
  const between = squares / sum - score[0] ** 2 - score[1] ** 2;
  return {
    logDensity: largest + Math.log(sum) - Math.log(2 * Math.PI),
    score,
    posteriorVariance: inner / sum + noise * noise * between,
  };
}

/**
 * The same for N points as a graph, for training against the exact score: points [N, 2] and noise levels [N] to log densities [N]
 * and scores [N, 2]. Float32 arithmetic needs N x K elements.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const mixture = createMixture(Float64Array.of(1), Float64Array.of(0, 0), Float64Array.of(1, 0, 0, 1));
 * const found = mixtureDensities(mixture, tensor([[2, 4]]), tensor([1]));
 * console.log(await found.logDensity.array(), await found.score.array()); // [ -7.531 ] [ [ -1.000, -2.000 ] ]
 * ```
 */
export function mixtureDensities(
  mixture: Mixture,
  points: Tensor,
  sigma: Tensor,
): { readonly logDensity: Tensor; readonly score: Tensor } {
  const count = mixture.weights.length;
  const [pointCount = 0] = points.shape;
  const row = (values: (k: number) => number): Tensor =>
    tensor(
      Float32Array.from({ length: count }, (_, k) => values(k)),
      { shape: [1, count] },
    );
  const part = (pairs: Float64Array, i: 0 | 1): Tensor => row((k) => pairs[2 * k + i] ?? 0);
  const coordinate = (i: 0 | 1): Tensor =>
    subtract(reshape(points.slice([null, [i, i + 1]]), [pointCount, 1]), part(mixture.means, i));
  const [dx, dy] = [coordinate(0), coordinate(1)];
  const [cos, sin] = [part(mixture.axes, 0), part(mixture.axes, 1)];
  const noise = square(expandDims(sigma, 1));
  const variance = (i: 0 | 1): Tensor => add(part(mixture.variances, i), noise);
  const [v0, v1] = [variance(0), variance(1)];
  const u0 = add(multiply(cos, dx), multiply(sin, dy));
  const u1 = subtract(multiply(cos, dy), multiply(sin, dx));
  const [s0, s1] = [divide(u0, v0), divide(u1, v1)];
  const squaredDistance = add(multiply(u0, s0), multiply(u1, s1));
  const logVolume = add(log(v0), log(v1));
  const logWeights = row((k) => Math.log(mixture.weights[k] ?? 0) - Math.log(2 * Math.PI));
  const exponents = subtract(logWeights, multiply(add(squaredDistance, logVolume), 0.5));
  const shares = softmax(exponents, 1);
  const component = (slope: Tensor): Tensor => reduceSum(multiply(shares, slope), { axes: 1, keepAxes: true });
  const score = concat(
    [
      component(subtract(multiply(sin, s1), multiply(cos, s0))),
      component(negate(add(multiply(sin, s0), multiply(cos, s1)))),
    ],
    1,
  );
  return { logDensity: logSumExp(exponents, { axes: 1 }), score };
}
