import {
  add,
  broadcastTo,
  divide,
  log,
  multiply,
  negate,
  scalar,
  sqrt,
  square,
  type Tensor,
} from "../../engine/index.ts";
import { noiseVariance } from "./studentNoise.ts";

/**
 * What the raw network's output F stands for: EDM's mixture of image and noise (`v`), the image (`x`) or the noise (`eps`). In each case
 * what it is to be has unit variance.
 */
export const predictionTargets = ["v", "x", "eps"] as const;

/** See `predictionTargets`. */
export type PredictionTarget = (typeof predictionTargets)[number];

/** What the factors follow from beside the noise level and the data's deviation; a `NetworkConfig` has them. */
export type PreconditionOptions = {
  /** Default `v`. */
  readonly target?: PredictionTarget;
  /** Degrees of freedom of Student-t noise, above 2; 0, the default, is Gaussian noise. */
  readonly noiseDf?: number;
};

/** The factors around the raw network at noise level sigma, each of sigma's shape. */
export type Preconditioning = {
  readonly cIn: Tensor;
  readonly cNoise: Tensor;
  readonly cSkip: Tensor;
  readonly cOut: Tensor;
};

/**
 * cSkip = s^2 / (sigma^2 + s^2), cOut = sigma s / sqrt(sigma^2 + s^2), cIn = 1 / sqrt(sigma^2 + s^2), cNoise = ln(sigma) / 4 with
 * s = sigmaData. Karras et al. 2022, Table 1; 2024, Eq. 4 to 8. With another target than v the first two are 0 and s (x), or 1 and -sigma
 * (eps). Of noise with another variance than 1 sigma is its standard deviation.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const { cSkip, cOut, cIn } = precondition(tensor([0.5]), 0.5);
 * console.log(await cSkip.array(), await cOut.array(), await cIn.array()); // [ 0.5 ] [ 0.35355 ] [ 1.4142 ]
 * const noise = precondition(tensor([0.5]), 0.5, { target: "eps" });
 * console.log(await noise.cSkip.array(), await noise.cOut.array()); // [ 1 ] [ -0.5 ]
 * ```
 */
export function precondition(
  sigma: Tensor,
  sigmaData: number,
  { target = "v", noiseDf = 0 }: PreconditionOptions = {},
): Preconditioning {
  const deviation = noiseDeviation(sigma, noiseDf);
  const total = add(square(deviation), sigmaData ** 2);
  const root = sqrt(total);
  return {
    cIn: divide(1, root),
    cNoise: multiply(log(deviation), 0.25),
    ...targetFactors(target, deviation, sigmaData, total, root),
  };
}

function targetFactors(
  target: PredictionTarget,
  sigma: Tensor,
  sigmaData: number,
  total: Tensor,
  root: Tensor,
): Pick<Preconditioning, "cSkip" | "cOut"> {
  const constant = (value: number): Tensor => broadcastTo(scalar(value), sigma.shape);
  switch (target) {
    case "v":
      return { cSkip: divide(sigmaData ** 2, total), cOut: divide(multiply(sigma, sigmaData), root) };
    case "x":
      return { cSkip: constant(0), cOut: constant(sigmaData) };
    case "eps":
      return { cSkip: constant(1), cOut: negate(sigma) };
  }
}

/**
 * lambda(sigma) = 1 / cOut^2, for v (sigma^2 + s^2) / (sigma s)^2: weights the squared error to about 1 at the start.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await lossWeight(tensor([0.5, 1]), 0.5).array()); // [ 8, 5 ]
 * ```
 */
export function lossWeight(
  sigma: Tensor,
  sigmaData: number,
  { target = "v", noiseDf = 0 }: PreconditionOptions = {},
): Tensor {
  const deviation = noiseDeviation(sigma, noiseDf);
  switch (target) {
    case "v":
      return divide(add(square(deviation), sigmaData ** 2), square(multiply(deviation, sigmaData)));
    case "x":
      return broadcastTo(scalar(sigmaData ** -2), sigma.shape);
    case "eps":
      return divide(1, square(deviation));
  }
}

/** The standard deviation of the noise at level sigma. */
function noiseDeviation(sigma: Tensor, noiseDf: number): Tensor {
  return noiseDf === 0 ? sigma : multiply(sigma, Math.sqrt(noiseVariance(noiseDf)));
}
