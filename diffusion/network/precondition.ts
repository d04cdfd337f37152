import { add, divide, log, multiply, sqrt, square, type Tensor } from "../../engine/index.ts";

/** The factors around the raw network at noise level sigma, each of sigma's shape. */
export type Preconditioning = {
  readonly cIn: Tensor;
  readonly cNoise: Tensor;
  readonly cSkip: Tensor;
  readonly cOut: Tensor;
};

/**
 * cSkip = s^2 / (sigma^2 + s^2), cOut = sigma s / sqrt(sigma^2 + s^2), cIn = 1 / sqrt(sigma^2 + s^2), cNoise = ln(sigma) / 4 with
 * s = sigmaData. Karras et al. 2022, Table 1; 2024, Eq. 4 to 8.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const { cSkip, cOut, cIn } = precondition(tensor([0.5]), 0.5);
 * console.log(await cSkip.array(), await cOut.array(), await cIn.array()); // [ 0.5 ] [ 0.35355 ] [ 1.4142 ]
 * ```
 */
export function precondition(sigma: Tensor, sigmaData: number): Preconditioning {
  const total = add(square(sigma), sigmaData ** 2);
  const root = sqrt(total);
  return {
    cIn: divide(1, root),
    cNoise: multiply(log(sigma), 0.25),
    cSkip: divide(sigmaData ** 2, total),
    cOut: divide(multiply(sigma, sigmaData), root),
  };
}

/**
 * lambda(sigma) = (sigma^2 + s^2) / (sigma s)^2: weights the squared error to about 1 at the start.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await lossWeight(tensor([0.5, 1]), 0.5).array()); // [ 8, 5 ]
 * ```
 */
export function lossWeight(sigma: Tensor, sigmaData: number): Tensor {
  return divide(add(square(sigma), sigmaData ** 2), square(multiply(sigma, sigmaData)));
}
