import { EvenkeelError } from "../../engine/index.ts";
import { runSampler, type SamplerStep, sigmaSteps } from "../sample/index.ts";
import { addNoise, drawPoints } from "./draw.ts";
import type { Mixture } from "./mixture.ts";
import { type PointScorer, scoreDenoiser } from "./pointScores.ts";
import type { RandomState } from "./randomState.ts";

/** Noise levels of the published toy sampling. */
export const toySampling = { steps: 32, sigmaMin: 0.002, sigmaMax: 5, rho: 7 } as const;

/** Options of sampling points. */
export type ToySampleOptions = {
  /** Default 32, as published. */
  readonly steps?: number;
  /**
   * Start from draws of this mixture at the highest noise level. Default: from pure noise, as published, which at level 5 is not quite
   * what noisy data are like: their mean is lost.
   */
  readonly start?: Mixture;
  /** Told after every step. */
  readonly onStep?: (step: SamplerStep) => void;
};

/**
 * Samples [count, 2] of what a scorer describes, by Heun's rule.
 * @throws EvenkeelError `value` unless `count` is a whole number of at least 1.
 * @example
 * ```ts
 * const mixture = createMixture(Float64Array.of(1), Float64Array.of(3, 4), Float64Array.of(1e-12, 0, 0, 1e-12));
 * console.log(await sampleToy(exactScorer(mixture), 1, new RandomState(0))); // Float64Array(2) [ 3.000, 4.000 ]
 * ```
 */
export async function sampleToy(
  scores: PointScorer,
  count: number,
  random: RandomState,
  { steps = toySampling.steps, start, onStep }: ToySampleOptions = {},
): Promise<Float64Array> {
  if (!Number.isInteger(count) || count < 1) {
    throw new EvenkeelError("value", `sampleToy: ${count} samples, expected a whole number of at least 1.`);
  }
  const { sigmaMax } = toySampling;
  // The sampler takes the start in units of the highest noise level.
  const noise =
    start === undefined
      ? Float64Array.from({ length: 2 * count }, () => random.normal())
      : addNoise(drawPoints(start, count, random), () => sigmaMax, random).map((value) => value / sigmaMax);
  const sigmas = sigmaSteps({ ...toySampling, steps });
  return runSampler(scoreDenoiser(scores), noise, sigmas, onStep === undefined ? {} : { onStep });
}
