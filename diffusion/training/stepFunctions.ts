/** The functions that a trainer compiles, and the state that they work on. */
import { mapTree, randomKey, type Tensor, zerosLike } from "../../engine/index.ts";
import { adamMoments, type NamedParameters, type ParameterSpec, type NetworkRun } from "../../nn/index.ts";
import { accumulateGradient, type AccumulatingState, applyGradient, type PartReport } from "./accumulate.ts";
import type { TrainingOptions } from "./options.ts";
import {
  drawDropout,
  drawNoise,
  type StepReport,
  type StepSchedule,
  type TrainingBatch,
  trainingStep,
} from "./step.ts";

type StepOf<Rest extends readonly unknown[], Result> = (
  state: AccumulatingState,
  ...rest: Rest
) => { readonly state: AccumulatingState; readonly result: Result };

/** Whole batches in one function, or parts whose gradients are added. */
export type StepFunctions =
  | { readonly kind: "whole"; readonly step: StepOf<[TrainingBatch, StepSchedule], StepReport> }
  | {
      readonly kind: "parts";
      readonly accumulate: StepOf<[TrainingBatch, Tensor], PartReport>;
      readonly apply: StepOf<[StepSchedule], Pick<StepReport, "gradientNorm" | "nonFiniteGradients">>;
    };

export function stepFunctions(options: TrainingOptions, specs: NamedParameters<ParameterSpec>): StepFunctions {
  const key = randomKey(options.seed);
  const runOf = (batch: TrainingBatch): NetworkRun =>
    options.network.unet.dropout > 0 ? drawDropout(key, batch.positions) : {};
  if (options.batchDevice === options.batch) {
    return {
      kind: "whole",
      step: (state, batch, schedule) => {
        const noisy = drawNoise(options, key, batch);
        const { state: training, result } = trainingStep(options, specs, state.training, noisy, schedule, runOf(batch));
        return { state: { ...state, training }, result };
      },
    };
  }
  return {
    kind: "parts",
    accumulate: (state, part, isFirst) =>
      accumulateGradient(options, specs, options.batch, state, drawNoise(options, key, part), isFirst, runOf(part)),
    apply: (state, schedule) => applyGradient(options, specs, state, schedule),
  };
}

/** The state before the first step. */
export function startingState(
  options: TrainingOptions,
  weights: NamedParameters,
  buffers: NamedParameters,
): AccumulatingState {
  const training = {
    weights,
    buffers,
    moments: adamMoments(weights),
    averages: options.emaSigmaRels.map(() => weights),
  };
  return { training, gradient: options.batchDevice === options.batch ? {} : mapTree(weights, zerosLike) };
}
