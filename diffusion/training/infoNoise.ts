/** Noise levels where they teach most: InfoNoise, from the losses that training makes anyway. */
import {
  add,
  cast,
  clamp,
  cumulativeSum,
  divide,
  erf,
  exp,
  full,
  log,
  multiply,
  oneHot,
  reduceSum,
  reshape,
  square,
  subtract,
  type Tensor,
  tensor,
} from "../../engine/index.ts";
import { lossWeight, type NetworkConfig } from "../network/index.ts";

/** Bins of ln(sigma), evenly from the lowest to the highest noise level of sampling. */
const range = { low: 0.002, high: 80, bins: 32 };
const width = Math.log(range.high / range.low) / range.bins;

/** Share of images that is spread evenly over all bins, so that none is forgotten. */
const floor = 0.05;

/** Images after which losses count for 1/e of what they did. */
const memory = 4096;

/** Images that the estimate before the first loss stands for in each bin. */
const prior = 8;

/** What is known of the noise levels: for each bin [32] how many images it has seen, and the sum of their rates, older ones counting less. */
export type NoiseEstimate<T = Tensor> = { readonly count: T; readonly rate: T };

/** The noise levels between the bins, and at both ends: 33 numbers. Rounded, as exponentials differ in their last digit between machines. */
export const infoNoiseEdges: readonly number[] = Array.from({ length: range.bins + 1 }, (_, i) =>
  Number((range.low * Math.exp(i * width)).toPrecision(12)),
);

/**
 * The estimate before the first step. An untrained network's weighted error is 1 at every level, which says what its rates are.
 * @example console.log(startingEstimate({ sigmaData: 0.5, target: "v", noiseDf: 0 }).count.shape); // [ 32 ]
 */
export function startingEstimate(network: Pick<NetworkConfig, "sigmaData" | "target" | "noiseDf">): NoiseEstimate {
  const middles = infoNoiseEdges.slice(1).map((high, i) => Math.sqrt(high * (infoNoiseEdges[i] ?? 0)));
  const errors = full([range.bins], 1);
  return {
    count: full([range.bins], prior),
    rate: multiply(informationRates(network, tensor(middles), errors), prior),
  };
}

/**
 * How fast an image becomes uncertain in ln(sigma), up to a factor: mse / sigma^2 with the mean squared error of denoising, of weighted
 * errors [N] at levels [N]. Guo, Shamai and Verdu 2005 (I-MMSE): in sigma conditional entropy grows at a rate of mse / sigma^3.
 */
export function informationRates(
  network: Pick<NetworkConfig, "sigmaData" | "target" | "noiseDf">,
  sigma: Tensor,
  error: Tensor,
): Tensor {
  return divide(error, multiply(lossWeight(sigma, network.sigmaData, network), square(sigma)));
}

/**
 * What images of a step add to an estimate: for each bin their number and the sum of their rates. The mean rate of a bin depends on what was
 * drawn from it and not on how often, so that the density which drew them cancels.
 * @param sigma noise levels [N]. @param error their weighted errors [N].
 */
export function noiseSums(network: NetworkConfig, sigma: Tensor, error: Tensor): NoiseEstimate {
  const place = multiply(subtract(log(sigma), Math.log(range.low)), 1 / width);
  const bin = oneHot(cast(clamp(place, 0, range.bins - 0.5), "i32"), range.bins);
  const rates = reshape(informationRates(network, sigma, error), [-1, 1]);
  return { count: reduceSum(bin, { axes: 0 }), rate: reduceSum(multiply(bin, rates), { axes: 0 }) };
}

/** The estimate after a step of `batch` images with these sums. */
export function updateEstimate(estimate: NoiseEstimate, sums: NoiseEstimate, batch: number): NoiseEstimate {
  const kept = Math.exp(-batch / memory);
  const next = (old: Tensor, sum: Tensor): Tensor => add(multiply(old, kept), sum);
  return { count: next(estimate.count, sums.count), rate: next(estimate.rate, sums.rate) };
}

/**
 * The share of images that each bin [32] gets: in proportion to its mean rate, but for the even share that all have.
 * @example
 * ```ts
 * import { reduceSum } from "evenkeel/engine";
 *
 * const shares = noiseShares(startingEstimate({ sigmaData: 0.5, target: "v", noiseDf: 0 }));
 * console.log(await reduceSum(shares).array()); // 1.000
 * ```
 */
export function noiseShares({ count, rate }: NoiseEstimate): Tensor {
  // Bins whose errors are all 0 are even.
  const rates = add(divide(rate, add(count, 1e-20)), 1e-20);
  return add(multiply(divide(rates, reduceSum(rates)), 1 - floor), floor / range.bins);
}

/**
 * Noise levels [N] of standard normals [N] by the bins' shares: the same number gives the same quantile as a log-normal distribution would,
 * and each bin is even in ln(sigma).
 * @example
 * ```ts
 * import { full, tensor } from "evenkeel/engine";
 *
 * console.log(await sharedNoiseLevels(tensor([-6, 0, 6]), full([32], 1 / 32)).array()); // [ 0.0020, 0.4, 80.000 ]
 * ```
 */
export function sharedNoiseLevels(normals: Tensor, shares: Tensor): Tensor {
  const quantile = multiply(add(erf(multiply(normals, Math.SQRT1_2)), 1), 0.5);
  const before = subtract(cumulativeSum(shares), shares);
  // Of each bin the part that lies below the quantile: whole bins, then some of one, then nothing.
  const below = clamp(divide(subtract(reshape(quantile, [...quantile.shape, 1]), before), shares), 0, 1);
  return exp(add(multiply(reduceSum(below, { axes: -1 }), width), Math.log(range.low)));
}
