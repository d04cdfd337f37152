/** The steps of networks that were tuned to be consistent: each goes to an image at once. */
import { EvenkeelError } from "../../engine/index.ts";
import type { StepLevels } from "./stepLevels.ts";

/** Where a consistency-tuned network is asked. */
export type ConsistencyOptions = {
  /** Noise level of the start. Default 80. */
  readonly sigmaMax?: number;
  /** Noise levels to which its images are noised again, each for a step more: they fall. Default [0.8]; none: a single step. */
  readonly renoise?: readonly number[];
};

/**
 * Noise levels of the network's evaluations, and a final 0.
 * @throws EvenkeelError `value` for levels that don't fall from sigmaMax to above 0.
 * @example console.log(consistencySigmas(), consistencySigmas({ renoise: [] })); // [ 80, 0.8, 0 ] [ 80, 0 ]
 */
export function consistencySigmas({ sigmaMax = 80, renoise = [0.8] }: ConsistencyOptions = {}): readonly number[] {
  const sigmas = [sigmaMax, ...renoise, 0];
  if (!Number.isFinite(sigmaMax) || sigmas.some((sigma, i) => i > 0 && !(sigma < (sigmas[i - 1] ?? 0)))) {
    throw new EvenkeelError(
      "value",
      `sampling: from a noise level of ${sigmaMax} images can't be noised again to [${renoise.join(", ")}]: levels must fall and be ` +
        "above 0. The usual ones are 80 and [0.8].",
    );
  }
  return sigmas;
}

/**
 * Steps that go from each of these levels to 0, and noise the image again in between: D at the highest, then noise of the next level, D, and
 * so on (Song et al. 2023, Algorithm 1).
 * @param sigmas as `consistencySigmas` makes them.
 * @example console.log(consistencyLevels([80, 0.8, 0])[1]); // { index: 1, t: 0.8, tHat: 0.8, tNext: 0, churn: 0.8 }
 */
export function consistencyLevels(sigmas: readonly number[]): readonly StepLevels[] {
  return sigmas.slice(0, -1).map((t, index) => ({ index, t, tHat: t, tNext: 0, churn: index === 0 ? null : t }));
}
