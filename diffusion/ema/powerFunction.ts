/**
 * Power-function averaging of weights (Karras et al. 2024, "Analyzing and Improving the Training Dynamics of Diffusion
 * Models", section 3 and appendix C). After t images the average gives the weights of time tau in [0, t] a share
 * proportional to tau^gamma. Its width relative to t is called sigma_rel; everything else follows from it.
 * All numbers are float64.
 */
import { EvenkeelError } from "../../engine/index.ts";

/** The largest sigma_rel, that of the uniform average (gamma 0). */
export const maximumSigmaRel = Math.sqrt(1 / 12);

/**
 * The exponent gamma of the profile whose relative standard deviation is `sigmaRel`: the largest root of
 * (gamma + 2)^2 (gamma + 3) = (gamma + 1) / sigmaRel^2.
 * @throws EvenkeelError `range` unless 0 < sigmaRel <= 12^-0.5.
 * @example console.log(sigmaRelToGamma(0.1)); // 6.9372
 */
export function sigmaRelToGamma(sigmaRel: number): number {
  if (!(sigmaRel > 0 && sigmaRel <= maximumSigmaRel)) {
    throw new EvenkeelError(
      "range",
      `sigma_rel is ${sigmaRel}; a power-function average has 0 < sigma_rel <= 12^-0.5 = ${maximumSigmaRel.toFixed(4)} ` +
        "(there it is the uniform average). Typical values are 0.05 to 0.2.",
    );
  }
  const inverseVariance = sigmaRel ** -2;
  // An upper bound, as (gamma + 1) / (gamma + 3) < 1. The cubic is convex from -7/3 on, so Newton's method falls
  // monotonically from there to the largest root, and has arrived when rounding stops the fall.
  let gamma = 1 / sigmaRel - 2;
  for (;;) {
    const a = gamma + 2;
    const value = a * a * (gamma + 3) - inverseVariance * (gamma + 1);
    const slope = 2 * a * (gamma + 3) + a * a - inverseVariance;
    const next = gamma - value / slope;
    if (!(next < gamma)) break;
    gamma = next;
  }
  if (!Number.isFinite(gamma)) {
    throw new EvenkeelError(
      "range",
      `sigma_rel is ${sigmaRel}; its exponent does not fit a float64. Use a larger one.`,
    );
  }
  return Math.max(0, gamma);
}

/**
 * The relative standard deviation of the profile with exponent `gamma`: sqrt((gamma + 1) / ((gamma + 2)^2 (gamma + 3))).
 * @throws EvenkeelError `range` unless gamma >= 0.
 * @example console.log(gammaToSigmaRel(6.9372)); // 0.1
 */
export function gammaToSigmaRel(gamma: number): number {
  if (!(gamma >= 0 && gamma < Infinity)) {
    throw new EvenkeelError("range", `gamma is ${gamma}; the exponent of a power-function average is finite and >= 0.`);
  }
  return Math.sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2);
}

/**
 * How much of the average an update keeps: beta = (1 - tDelta / tNext)^(gamma + 1), for the update at time `tNext` (after
 * the step) when the last one was `tDelta` earlier, in images or any other unit. Skipping steps makes `tDelta` grow; the
 * first update has tDelta = tNext and keeps nothing. Applying it in float32 needs {@link powerFunctionUpdateRate}.
 * @throws EvenkeelError `range` unless 0 < tDelta <= tNext and sigmaRel is valid.
 * @example console.log(powerFunctionBeta(0.1, 1000, 100)); // 0.43332
 */
export function powerFunctionBeta(sigmaRel: number, tNext: number, tDelta: number): number {
  return Math.exp(logarithmOfBeta(sigmaRel, tNext, tDelta));
}

/**
 * 1 - beta, the share of the newest weights in the updated average, to full relative precision. In a long run beta is so
 * close to 1 that float32 holds 1 - beta, if computed from it, to three digits or fewer.
 * @throws EvenkeelError `range` as {@link powerFunctionBeta}.
 * @example console.log(powerFunctionUpdateRate(0.1, 1000, 100)); // 0.56668
 */
export function powerFunctionUpdateRate(sigmaRel: number, tNext: number, tDelta: number): number {
  return -Math.expm1(logarithmOfBeta(sigmaRel, tNext, tDelta));
}

function logarithmOfBeta(sigmaRel: number, tNext: number, tDelta: number): number {
  if (!(tDelta > 0 && tDelta <= tNext && tNext < Infinity)) {
    throw new EvenkeelError(
      "range",
      `power-function average: an update at time ${tNext}, ${tDelta} after the last one; ` +
        "wanted 0 < interval <= time, where time counts from the start of training and the first interval is all of it.",
    );
  }
  // Each form where its argument is exact but for one rounding: a difference from 1, or a difference of near numbers.
  const logarithm = tDelta < tNext / 2 ? Math.log1p(-tDelta / tNext) : Math.log((tNext - tDelta) / tNext);
  return (sigmaRelToGamma(sigmaRel) + 1) * logarithm;
}

/**
 * The profile at the times 0, 1, ..., length - 1 when the average is taken at time `nimg`, scaled to sum 1: the shares that
 * one set of weights per unit of time would have. Zero after `nimg`.
 * @throws EvenkeelError `range` unless nimg > 0, length is a whole number > 0 and the sum is not empty.
 * @example console.log(powerFunctionResponse(100, 0.1, 3)); // Float64Array(3) [ 0, 0.008094, 0.99191 ]
 */
export function powerFunctionResponse(nimg: number, sigmaRel: number, length: number): Float64Array {
  const gamma = sigmaRelToGamma(sigmaRel);
  if (!(nimg > 0 && nimg < Infinity) || !Number.isInteger(length) || length < 1) {
    throw new EvenkeelError(
      "range",
      `powerFunctionResponse: time ${nimg}, length ${length}; wanted a time > 0 and a whole length > 0.`,
    );
  }
  const response = Float64Array.from({ length }, (_, time) => (time <= nimg ? (time / nimg) ** gamma : 0));
  const sum = response.reduce((total, share) => total + share, 0);
  if (!(sum > 0)) {
    throw new EvenkeelError(
      "range",
      `powerFunctionResponse: the profile of time ${nimg}, sigma_rel ${sigmaRel} is zero at the first ${length} times.`,
    );
  }
  return response.map((share) => share / sum);
}
