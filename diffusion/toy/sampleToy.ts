import { runSampler, type SamplerStep, sigmaSteps } from "../sample/index.ts";
import { type PointScorer, scoreDenoiser } from "./pointScores.ts";
import type { RandomState } from "./randomState.ts";

/** Noise levels of the published toy sampling. */
export const toySampling = { steps: 32, sigmaMin: 0.002, sigmaMax: 5, rho: 7 } as const;

/**
 * Samples [count, 2] of what a scorer describes, by Heun's rule from normal noise.
 * @param steps in place of the published 32.
 * @param onStep told after every step.
 */
export async function sampleToy(
  scores: PointScorer,
  count: number,
  random: RandomState,
  steps: number = toySampling.steps,
  onStep?: (step: SamplerStep) => void,
): Promise<Float64Array> {
  const noise = Float64Array.from({ length: 2 * count }, () => random.normal());
  const options = onStep === undefined ? {} : { onStep };
  return runSampler(scoreDenoiser(scores), noise, sigmaSteps({ ...toySampling, steps }), options);
}
