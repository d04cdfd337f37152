/**
 * Averaging profiles: which share of an average the weights of each training time have, as a density over time that
 * integrates to 1. Times are in images seen. Reconstruction needs no more of a profile than its inner products, so old
 * runs with exponential averages take part, too.
 */
import { EvenkeelError } from "../../engine/index.ts";
import { sigmaRelToGamma } from "./powerFunction.ts";

/** (gamma + 1) / nimg * (tau / nimg)^gamma on [0, nimg]. */
export type PowerProfile = { readonly kind: "power"; readonly nimg: number; readonly sigmaRel: number };

/**
 * Proportional to 2^((tau - nimg) / halfLife) on [0, nimg]. The share that such an average still gives the initial
 * weights, 2^(-nimg / halfLife), is left out.
 */
export type ExponentialProfile = { readonly kind: "exponential"; readonly nimg: number; readonly halfLife: number };

/** How weights at each time of training enter into an average. */
export type AveragingProfile = PowerProfile | ExponentialProfile;

/** Share of the initial weights in an exponential average from which on leaving it out would be wrong. */
const maximumInitialShare = 0.01;

/**
 * The power-function profile at `nimg` images with relative width `sigmaRel`.
 * @throws EvenkeelError `range` unless nimg > 0 and 0 < sigmaRel <= 12^-0.5.
 * @example
 * ```ts
 * import { describeProfile } from "evenkeel/diffusion/ema";
 *
 * console.log(describeProfile(powerProfile(100_000, 0.1))); // sigma_rel 0.1 at 100000 images
 * ```
 */
export function powerProfile(nimg: number, sigmaRel: number): PowerProfile {
  checkTime(nimg);
  sigmaRelToGamma(sigmaRel);
  return { kind: "power", nimg, sigmaRel };
}

/**
 * The profile at `nimg` images of an exponential average with a constant half-life, in images.
 * @throws EvenkeelError `range` unless both are > 0, or if the initial weights still have more than 1% of the average.
 * @example console.log(describeProfile(exponentialProfile(100_000, 5000))); // half-life 5000 at 100000 images
 */
export function exponentialProfile(nimg: number, halfLife: number): ExponentialProfile {
  checkTime(nimg);
  if (!(halfLife > 0 && halfLife < Infinity)) {
    throw new EvenkeelError("range", `exponential profile: the half-life is ${halfLife} images; wanted a number > 0.`);
  }
  const initialShare = 2 ** (-nimg / halfLife);
  if (initialShare > maximumInitialShare) {
    throw new EvenkeelError(
      "range",
      `exponential profile: at ${nimg} images with half-life ${halfLife} the average is still ` +
        `${(100 * initialShare).toFixed(1)}% initial weights, which no combination can take out. ` +
        "Leave out averages earlier than 6.7 half-lives.",
    );
  }
  return { kind: "exponential", nimg, halfLife };
}

function checkTime(nimg: number): void {
  if (!(nimg > 0 && nimg < Infinity)) {
    throw new EvenkeelError("range", `averaging profile: its time is ${nimg} images; wanted a finite number > 0.`);
  }
}

/**
 * For messages: `sigma_rel 0.05 at 8192 images`.
 * @example console.log(describeProfile(powerProfile(100_000, 0.05))); // sigma_rel 0.05 at 100000 images
 */
export function describeProfile(profile: AveragingProfile): string {
  switch (profile.kind) {
    case "power":
      return `sigma_rel ${profile.sigmaRel} at ${profile.nimg} images`;
    case "exponential":
      return `half-life ${profile.halfLife} at ${profile.nimg} images`;
  }
}

/**
 * Orders by time, then by width.
 * @example console.log(compareProfiles(powerProfile(100, 0.1), powerProfile(200, 0.1)) < 0); // true
 */
export function compareProfiles(a: AveragingProfile, b: AveragingProfile): number {
  return a.nimg - b.nimg || widthOf(a) - widthOf(b);
}

function widthOf(profile: AveragingProfile): number {
  return profile.kind === "power" ? profile.sigmaRel : profile.halfLife / profile.nimg;
}

/**
 * The density at time `tau`, per image; 0 outside of [0, nimg].
 * @example console.log(profileDensity(powerProfile(100, 0.1), 100)); // 0.079372
 */
export function profileDensity(profile: AveragingProfile, tau: number): number {
  const { nimg } = profile;
  if (tau < 0 || tau > nimg) return 0;
  switch (profile.kind) {
    case "power": {
      const gamma = sigmaRelToGamma(profile.sigmaRel);
      return ((gamma + 1) / nimg) * (tau / nimg) ** gamma;
    }
    case "exponential":
      return exponentialPeak(profile) * Math.exp((Math.LN2 / profile.halfLife) * (tau - nimg));
  }
}

/** The density at the profile's own time. */
function exponentialPeak({ nimg, halfLife }: ExponentialProfile): number {
  const rate = Math.LN2 / halfLife;
  return rate / -Math.expm1(-rate * nimg);
}

/**
 * The integral of the product of two profiles over time, per image. Powers are taken of ratios of times only, so nothing
 * overflows. For power functions with t_a <= t_b (paper, appendix C):
 * (g_a + 1) (g_b + 1) (t_a / t_b)^g_b / ((g_a + g_b + 1) t_b).
 * @example
 * ```ts
 * const profile = powerProfile(100, 0.1);
 * console.log(profileInnerProduct(profile, profile)); // 0.042354
 * ```
 */
export function profileInnerProduct(a: AveragingProfile, b: AveragingProfile): number {
  if (a.kind === "power") return b.kind === "power" ? powerWithPower(a, b) : powerWithExponential(a, b);
  return b.kind === "power" ? powerWithExponential(b, a) : exponentialWithExponential(a, b);
}

function powerWithPower(a: PowerProfile, b: PowerProfile): number {
  const [earlier, later] = a.nimg <= b.nimg ? [a, b] : [b, a];
  const gammaEarlier = sigmaRelToGamma(earlier.sigmaRel);
  const gammaLater = sigmaRelToGamma(later.sigmaRel);
  const overlap = (earlier.nimg / later.nimg) ** gammaLater / (gammaEarlier + gammaLater + 1);
  return ((gammaEarlier + 1) * (gammaLater + 1) * overlap) / later.nimg;
}

function exponentialWithExponential(a: ExponentialProfile, b: ExponentialProfile): number {
  const [earlier, later] = a.nimg <= b.nimg ? [a, b] : [b, a];
  const rateLater = Math.LN2 / later.halfLife;
  const rates = Math.LN2 / earlier.halfLife + rateLater;
  const overlap = (Math.exp(rateLater * (earlier.nimg - later.nimg)) * -Math.expm1(-rates * earlier.nimg)) / rates;
  return exponentialPeak(earlier) * exponentialPeak(later) * overlap;
}

function powerWithExponential(power: PowerProfile, exponential: ExponentialProfile): number {
  const end = Math.min(power.nimg, exponential.nimg);
  const rate = Math.LN2 / exponential.halfLife;
  const gamma = sigmaRelToGamma(power.sigmaRel);
  const powerAtEnd = ((gamma + 1) / power.nimg) * (end / power.nimg) ** gamma;
  const exponentialAtEnd = exponentialPeak(exponential) * Math.exp(rate * (end - exponential.nimg));
  return powerAtEnd * exponentialAtEnd * end * powerTimesGrowth(gamma, rate * end);
}

/**
 * The integral of u^gamma e^(-x (1 - u)) over [0, 1]. Expanding e^(x u) makes it the mean of 1 / (gamma + 1 + k) when k
 * has the Poisson distribution of mean x: only positive terms, and their scale cancels.
 */
function powerTimesGrowth(gamma: number, x: number): number {
  const mode = Math.floor(x);
  let weights = 0;
  let sum = 0;
  const add = (weight: number, k: number): void => {
    weights += weight;
    sum += weight / (gamma + 1 + k);
  };
  const negligible = 1e-18;
  add(1, mode);
  for (let k = mode + 1, weight = x / k; weight > negligible; k++, weight *= x / k) add(weight, k);
  for (let k = mode - 1, weight = mode / x; k >= 0 && weight > negligible; weight *= k / x, k--) add(weight, k);
  return sum / weights;
}
