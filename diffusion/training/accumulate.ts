import { add, and, mapTree, not, type Tensor, where } from "../../engine/index.ts";
import { countNonFinite, type NamedParameters, type ParameterSpec, type NetworkRun } from "../../nn/index.ts";
import { type NoiseEstimate, noiseSums } from "./infoNoise.ts";
import {
  allFinite,
  keepUnless,
  learnNoise,
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

/** A training state, and what steps leave for those after them. */
export type AccumulatingState = {
  readonly training: TrainingState;
  /** The gradient of the parts of a batch that have been seen; nothing where batches go through the network whole. */
  readonly gradient: NamedParameters;
  /** What they told of the noise levels, where these are drawn by it and batches go through the network in parts. */
  readonly noiseSums?: NoiseEstimate;
  /** Whether their losses are finite, so that the step may update the state: bool scalar. */
  readonly mayUpdate: Tensor;
  /**
   * Whether a step had a loss that isn't finite: bool scalar. Those begun after it, before the host knew, leave the state as it is, so
   * that it is the state before that step whenever the host looks.
   */
  readonly isHalted: Tensor;
};

/** Whether a step has to leave the state as it is. @param isFresh bool scalar: the host knows how all steps before went: a halt is over. */
export function haltedBefore(state: AccumulatingState, isFresh: Tensor): Tensor {
  return and(state.isHalted, not(isFresh));
}

/** What a part of a batch reports, for each of its images [n]. */
export type PartReport = Pick<StepReport, "loss" | "error" | "sigma">;

/**
 * Adds the gradient of a part of a batch. Nothing that outlives the step changes, so it may be given up between its parts.
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
  const wasBad = and(not(isFirst), not(state.mayUpdate));
  const before = state.noiseSums;
  const told =
    before === undefined
      ? {}
      : {
          noiseSums: mapTree(noiseSums(options.network, part.sigma, error), (added, name) =>
            add(added, where(isFirst, 0, before[name as keyof NoiseEstimate])),
          ),
        };
  return {
    state: { ...state, ...told, gradient: sum, mayUpdate: allFinite(loss, wasBad) },
    result: { loss, error, sigma: part.sigma },
  };
}

/**
 * Forced normalization, Adam and all averages from the gradient of a whole batch; the state stays as it was if a loss of it isn't
 * finite, or if it is halted.
 * @param batchSize images of the whole batch.
 * @param isFresh as `haltedBefore` takes it.
 */
export function applyGradient(
  options: StepOptions,
  specs: NamedParameters<ParameterSpec>,
  state: AccumulatingState,
  batchSize: number,
  schedule: StepSchedule,
  isFresh: Tensor,
): { readonly state: AccumulatingState; readonly result: Pick<StepReport, "gradientNorm" | "nonFiniteGradients"> } {
  const { training, gradient } = state;
  const normalized = normalizeWeights(specs, training.weights);
  const updated = updateTrainingState(options, training, normalized, gradient, schedule);
  const { noiseSums: told } = state;
  const next = told === undefined ? updated : learnNoise(updated, training.noise, () => told, batchSize);
  const isGood = and(state.mayUpdate, not(haltedBefore(state, isFresh)));
  return {
    state: { ...state, training: keepUnless(isGood, next, training), isHalted: not(isGood) },
    result: {
      gradientNorm: reportedNorm(gradient, options.lossScaling),
      nonFiniteGradients: countNonFinite(gradient),
    },
  };
}
