/** A step in two functions, between which processes that share a batch add their gradients up. */
import { EvenkeelError, randomKey } from "../../engine/index.ts";
import { countNonFinite, flattenParameters, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";
import { describeDenoiser } from "../network/index.ts";
import type { PartReport } from "./accumulate.ts";
import type { TrainingOptions } from "./options.ts";
import {
  drawDropout,
  drawNoise,
  normalizeWeights,
  objectiveGradient,
  reportedNorm,
  type StepReport,
  type StepSchedule,
  type TrainingBatch,
  type TrainingState,
  updateTrainingState,
} from "./step.ts";
import { stepSchedule } from "./schedule.ts";
import { refreshFunction } from "./stepFunctions.ts";
import { stepTemplate } from "./stepTemplate.ts";

/** What a process computes of its part of a batch. */
export type PartInputs = Pick<TrainingState, "weights" | "buffers"> & TrainingBatch;

/** What all do once they have the gradient of the whole batch. */
export type UpdateInputs = TrainingState & { readonly gradient: NamedParameters; readonly schedule: StepSchedule };

/** The two functions, and what they take, by shapes alone. */
export type SharedStep = {
  /** The gradient of a part of the batch, of any number of images: the sum of those of all parts is that of the batch. */
  readonly gradient: (inputs: PartInputs) => PartReport & { readonly gradient: NamedParameters };
  /** The state after the step, and what is reported of its gradient. The caller has seen to it that all losses are finite. */
  readonly update: (inputs: UpdateInputs) => TrainingState & Pick<StepReport, "gradientNorm" | "nonFiniteGradients">;
  readonly partOf: (images: number) => PartInputs;
  readonly whole: () => UpdateInputs;
  readonly state: () => TrainingState;
};

/**
 * The step of a run for processes that share its batches, as they are elsewhere: PyTorch's.
 * @throws EvenkeelError `value` for a run whose state follows from more than the gradient.
 * @example
 * ```ts
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const network = presetNetwork("G", presetOf("smoke"));
 * const options = { ...trainingRecipe("G", presetOf("smoke")), network, batchDevice: 16, labelDropout: 0, seed: 0, emaSigmaRels: [0.1] };
 * const { gradient, partOf } = sharedStep(options);
 * console.log(gradient(partOf(4)).loss.shape); // [ 4 ]
 * ```
 */
export function sharedStep(options: TrainingOptions): SharedStep {
  requireShareable(options);
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(options.network));
  const key = randomKey(options.seed);
  const template = (images: number) => stepTemplate({ ...options, batchDevice: images });
  const state = (): TrainingState => template(1).state.training;
  return {
    gradient: ({ weights, buffers, images, labels, positions }) => {
      const batch = { images, labels, positions };
      const noisy = drawNoise(options, key, batch);
      const run = options.network.unet.dropout > 0 ? drawDropout(key, positions) : {};
      const normalized = normalizeWeights(specs, weights);
      return {
        ...objectiveGradient(options, normalized, buffers, noisy, options.batch, run),
        sigma: noisy.sigma,
      };
    },
    update: ({ gradient, schedule, ...state }) => ({
      ...updateTrainingState(options, state, normalizeWeights(specs, state.weights), gradient, schedule),
      gradientNorm: reportedNorm(gradient, options.lossScaling),
      nonFiniteGradients: countNonFinite(gradient),
    }),
    partOf: (images) => {
      const {
        state: { training },
        batch,
      } = template(images);
      return { weights: training.weights, buffers: training.buffers, ...batch };
    },
    whole: () => ({ ...state(), gradient: state().weights, schedule: stepSchedule(options, 0) }),
    state,
  };
}

/** Two functions are all that such processes have: nothing between steps, and nothing learned from losses. */
function requireShareable(options: TrainingOptions): void {
  const fail = (what: string): never => {
    throw new EvenkeelError(
      "value",
      `training of processes that share a batch: ${what}, which they don't do. Train such a run here.`,
    );
  };
  if (refreshFunction(options) !== null) fail(`${options.optimizer?.name ?? ""} makes its bases anew between steps`);
  if (options.noise.kind === "infonoise") fail("infonoise learns its noise levels from the losses of each step");
}
