import { EvenkeelError } from "../../engine/index.ts";
import type { Mixture } from "./mixture.ts";
import type { RandomState } from "./randomState.ts";

/**
 * Noise levels of training: ln(sigma) is normal, or uniform in each of two ranges, from `sigmaMin` to `border` with `lowShare` of all
 * points and from there to `sigmaMax` with the rest.
 */
export type ToyNoise =
  | { readonly kind: "logNormal"; readonly pMean: number; readonly pStd: number }
  | {
      readonly kind: "twoRanges";
      readonly sigmaMin: number;
      readonly border: number;
      readonly sigmaMax: number;
      readonly lowShare: number;
    };

/**
 * Draws `count` points of a mixture: [count, 2].
 * @example
 * ```ts
 * const mixture = createMixture(Float64Array.of(1), Float64Array.of(3, 4), Float64Array.of(0.01, 0, 0, 0.01));
 * console.log(drawPoints(mixture, 2, new RandomState(0))); // Float64Array(4) [ 3.0742, 4.1553, 3.1868, 3.9023 ]
 * ```
 */
export function drawPoints(mixture: Mixture, count: number, random: RandomState): Float64Array {
  if (!Number.isInteger(count) || count < 1) {
    throw new EvenkeelError("value", `drawPoints: ${count} points, expected a whole number of at least 1.`);
  }
  const { means, variances, axes } = mixture;
  const shares = cumulative(mixture.weights);
  const points = new Float64Array(2 * count);
  for (let i = 0; i < count; i++) {
    const k = firstAbove(shares, random.uniform());
    const along = Math.sqrt(variances[2 * k] ?? 0) * random.normal();
    const across = Math.sqrt(variances[2 * k + 1] ?? 0) * random.normal();
    const [cos, sin] = [axes[2 * k] ?? 0, axes[2 * k + 1] ?? 0];
    points[2 * i] = (means[2 * k] ?? 0) + cos * along - sin * across;
    points[2 * i + 1] = (means[2 * k + 1] ?? 0) + sin * along + cos * across;
  }
  return points;
}

/** Noise levels [count]. Those of two ranges are stratified: one from each of `count` equally likely parts, in rising order. */
export function drawSigmas(noise: ToyNoise, count: number, random: RandomState): Float64Array {
  switch (noise.kind) {
    case "logNormal":
      return Float64Array.from({ length: count }, () => Math.exp(noise.pMean + noise.pStd * random.normal()));
    case "twoRanges": {
      const { sigmaMin, border, sigmaMax, lowShare } = noise;
      return Float64Array.from({ length: count }, (_, i) => {
        const place = (i + random.uniform()) / count;
        return place < lowShare
          ? sigmaMin * (border / sigmaMin) ** (place / lowShare)
          : border * (sigmaMax / border) ** ((place - lowShare) / (1 - lowShare));
      });
    }
  }
}

/**
 * Points [N, 2] with noise of their own levels added.
 * @example
 * ```ts
 * const points = Float64Array.of(0, 0, 1, 1);
 * console.log(addNoise(points, (i) => [0, 0.1][i] ?? 0, new RandomState(0))); // Float64Array(4) [ 0, 0, 1.0979, 1.2241 ]
 * ```
 */
export function addNoise(points: Float64Array, sigma: (i: number) => number, random: RandomState): Float64Array {
  return points.map((value, i) => value + sigma(i >> 1) * random.normal());
}

/** Sums up to each weight, scaled to end at 1. */
function cumulative(weights: Float64Array): Float64Array {
  let sum = 0;
  const sums = weights.map((weight) => (sum += weight));
  return sums.map((value) => value / sum);
}

/** The first place in rising `values` with a value above `x`; the last place if there is none. */
function firstAbove(values: Float64Array, x: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) > x) high = middle;
    else low = middle + 1;
  }
  return low;
}
