import { scalar } from "../../engine/index.ts";
import { adamCorrections, learningRate } from "../../nn/index.ts";
import { powerFunctionUpdateRates } from "../ema/index.ts";
import type { TrainingOptions } from "./options.ts";
import type { StepSchedule } from "./step.ts";

/**
 * The scalars of the step that begins after `before` images.
 * @example
 * ```ts
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const network = presetNetwork("G", presetOf("smoke"));
 * const options = { ...trainingRecipe("G", presetOf("smoke")), network, batchDevice: 16, labelDropout: 0, seed: 0, emaSigmaRels: [0.1] };
 * console.log(await stepSchedule(options, 16).corrections.first.item()); // 0.19
 * ```
 */
export function stepSchedule(options: TrainingOptions, before: number): StepSchedule {
  const { batch, adam, emaSigmaRels } = options;
  const nimg = before + batch;
  const corrections = adamCorrections(nimg / batch, adam);
  return {
    rate: scalar(learningRate(before, batch, options.learningRate)),
    corrections: { first: scalar(corrections.first), second: scalar(corrections.second) },
    updateRates: powerFunctionUpdateRates(emaSigmaRels, nimg, batch),
  };
}
