import { EvenkeelError } from "../../engine/index.ts";
import { checkOptimizer, learningRate as rateAt, type LearningRateOptions } from "../../nn/index.ts";
import type { StepOptions } from "./step.ts";

/** What a training run computes: plain data, the same for all of the run. */
export type TrainingOptions = StepOptions & {
  /** Images a step. */
  readonly batch: number;
  /** Images that go through the network at once; a divisor of `batch`. Does not change what is computed but for rounding. */
  readonly batchDevice: number;
  readonly learningRate: LearningRateOptions;
  /** Lengths of the power-function averages, as relative standard deviations. */
  readonly emaSigmaRels: readonly number[];
};

/**
 * Checks that options are in range and fit each other.
 * @throws EvenkeelError `value` that names the option, what it is and what was expected.
 * @example
 * ```ts
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const [network, recipe] = [presetNetwork("G", presetOf("smoke")), trainingRecipe("G", presetOf("smoke"))];
 * const options = { ...recipe, network, batchDevice: 16, labelDropout: 0, seed: 0, emaSigmaRels: [0.1] };
 * checkTrainingOptions(options); // nothing is wrong: nothing happens
 * try {
 *   checkTrainingOptions({ ...options, batchDevice: 5 });
 * } catch (error) {
 *   console.log(String(error)); // EvenkeelError: training: batchDevice is 5, expected a divisor of the batch of 16.
 * }
 * ```
 */
export function checkTrainingOptions(options: TrainingOptions): void {
  const fail = (name: string, value: unknown, expected: string): never => {
    throw new EvenkeelError("value", `training: ${name} is ${JSON.stringify(value)}, expected ${expected}.`);
  };
  const { batch, batchDevice, noise, labelDropout, lossScaling, emaSigmaRels, seed, learningRate, adam } = options;
  if (!Number.isInteger(batch) || batch < 1) fail("batch", batch, "a whole number of at least 1");
  if (!Number.isInteger(batchDevice) || batchDevice < 1 || batch % batchDevice !== 0) {
    fail("batchDevice", batchDevice, `a divisor of the batch of ${batch}`);
  }
  if (!Number.isFinite(noise.mean)) fail("noise mean (P_mean)", noise.mean, "a number");
  if (!(noise.standardDeviation > 0))
    fail("noise standard deviation (P_std)", noise.standardDeviation, "a number above 0");
  if (!(labelDropout >= 0 && labelDropout <= 1)) fail("labelDropout", labelDropout, "a probability from 0 to 1");
  if (!(lossScaling > 0)) fail("lossScaling", lossScaling, "a number above 0");
  if (!Number.isSafeInteger(seed) || seed < 0) fail("seed", seed, "a whole number from 0");
  if (!(learningRate.reference > 0)) fail("learning rate", learningRate.reference, "a number above 0");
  checkOptimizer(options.optimizer ?? {});
  // Says what is wrong with a schedule before the first step.
  rateAt(0, batch, learningRate);
  const { consistency } = options;
  if (consistency !== undefined) {
    const { stage, factor } = consistency;
    if (!Number.isInteger(stage) || stage < 1) fail("stage of the tuning", stage, "a whole number of at least 1");
    if (!(factor > 1 && factor < Infinity)) fail("factor of the tuning", factor, "a number above 1");
  }
  for (const [name, beta] of [
    ["beta1", adam.beta1],
    ["beta2", adam.beta2],
  ] as const) {
    if (beta !== undefined && !(beta >= 0 && beta < 1)) fail(name, beta, "a number from 0 to below 1");
  }
  for (const sigmaRel of emaSigmaRels) {
    if (!(sigmaRel > 0 && sigmaRel < 12 ** -0.5)) fail("emaSigmaRels", sigmaRel, "numbers above 0 and below 0.2886");
  }
  if (new Set(emaSigmaRels).size !== emaSigmaRels.length) fail("emaSigmaRels", emaSigmaRels, "different numbers");
}
