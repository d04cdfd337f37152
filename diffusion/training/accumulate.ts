import { add, mapTree, type Tensor, where } from "../../engine/index.ts";
import { countNonFinite, type NamedParameters, type ParameterSpec, type NetworkRun } from "../../nn/index.ts";
import {
  objectiveGradient,
  type NoisyBatch,
  normalizeWeights,
  reportedNorm,
  type StepOptions,
  type StepReport,
  type StepSchedule,
  type TrainingState,
  updateTrainingState,
} from "./step.ts";

/** A training state with the gradient of the parts of a batch that have been seen. */
export type AccumulatingState = { readonly training: TrainingState; readonly gradient: NamedParameters };

/** What a part of a batch reports, for each of its images [n]. */
export type PartReport = Pick<StepReport, "loss" | "error" | "sigma">;

/**
 * Adds the gradient of a part of a batch. Nothing but the sum of gradients changes, so a step may be given up between its parts.
 * @param isFirst bool scalar: the gradient so far is of the step before, and is dropped.
 */
export function accumulateGradient(
  options: StepOptions,
  specs: NamedParameters<ParameterSpec>,
  batchSize: number,
  state: AccumulatingState,
  part: NoisyBatch,
  isFirst: Tensor,
  run: NetworkRun = {},
): { readonly state: AccumulatingState; readonly result: PartReport } {
  const { training } = state;
  const normalized = normalizeWeights(specs, training.weights);
  const { gradient, loss, error } = objectiveGradient(options, normalized, training.buffers, part, batchSize, run);
  const sum = mapTree(gradient, (g, name) => add(g, where(isFirst, 0, state.gradient[name] as Tensor)));
  return { state: { training, gradient: sum }, result: { loss, error, sigma: part.sigma } };
}

/** Forced normalization, Adam and all averages from the gradient of a whole batch, whose loss must be finite. */
export function applyGradient(
  options: StepOptions,
  specs: NamedParameters<ParameterSpec>,
  state: AccumulatingState,
  schedule: StepSchedule,
): { readonly state: AccumulatingState; readonly result: Pick<StepReport, "gradientNorm" | "nonFiniteGradients"> } {
  const { training, gradient } = state;
  const normalized = normalizeWeights(specs, training.weights);
  return {
    state: { training: updateTrainingState(options, training, normalized, gradient, schedule), gradient },
    result: {
      gradientNorm: reportedNorm(gradient, options.lossScaling),
      nonFiniteGradients: countNonFinite(gradient),
    },
  };
}
