/** The functions that a trainer compiles, and the state that they work on. */
import { mapTree, randomKey, scalar, type Tensor, zerosLike } from "../../engine/index.ts";
import {
  initializeParameters,
  type NamedParameters,
  isRefreshDue,
  optimizerState,
  type ParameterSpec,
  type NetworkRun,
  refreshOptimizer,
} from "../../nn/index.ts";
import {
  accumulateGradient,
  type AccumulatingState,
  applyGradient,
  haltedBefore,
  type PartReport,
} from "./accumulate.ts";
import { startingEstimate } from "./infoNoise.ts";
import type { TrainingOptions } from "./options.ts";
import {
  drawDropout,
  drawNoise,
  type StepReport,
  type StepSchedule,
  type TrainingBatch,
  trainingStep,
} from "./step.ts";

/** A function of a step, as `compileStep` takes it. */
export type StepOf<Rest extends readonly unknown[], Result> = (
  state: AccumulatingState,
  ...rest: Rest
) => { readonly state: AccumulatingState; readonly result: Result };

/** What is done to the state between some steps. */
export type RefreshFunction = StepOf<[], Record<string, never>>;

/** Whole batches in one function, or parts whose gradients are added. The tensors: `isFirst` of a part; `isFresh` of a step. */
export type StepFunctions =
  | { readonly kind: "whole"; readonly step: StepOf<[TrainingBatch, StepSchedule, isFresh: Tensor], StepReport> }
  | {
      readonly kind: "parts";
      readonly accumulate: StepOf<[TrainingBatch, isFirst: Tensor], PartReport>;
      readonly apply: StepOf<[StepSchedule, isFresh: Tensor], Pick<StepReport, "gradientNorm" | "nonFiniteGradients">>;
    };

export function stepFunctions(options: TrainingOptions, specs: NamedParameters<ParameterSpec>): StepFunctions {
  const key = randomKey(options.seed);
  const runOf = (batch: TrainingBatch): NetworkRun =>
    options.network.unet.dropout > 0 ? drawDropout(key, batch.positions) : {};
  if (options.batchDevice === options.batch) {
    return {
      kind: "whole",
      step: (state, batch, schedule, isFresh) => {
        const noisy = drawNoise(options, key, batch, state.training.noise);
        const halted = haltedBefore(state, isFresh);
        const made = trainingStep(options, specs, state.training, noisy, schedule, runOf(batch), halted);
        return { state: { ...state, training: made.state, isHalted: made.isHalted }, result: made.result };
      },
    };
  }
  return {
    kind: "parts",
    accumulate: (state, part, isFirst) => {
      const noisy = drawNoise(options, key, part, state.training.noise);
      return accumulateGradient(options, specs, options.batch, state, noisy, isFirst, runOf(part));
    },
    apply: (state, schedule, isFresh) => applyGradient(options, specs, state, options.batch, schedule, isFresh),
  };
}

/** What the optimizer does after some steps (`isRefreshDue`), as a program of its own; null if it has no such thing. */
export function refreshFunction({ optimizer = {} }: TrainingOptions): RefreshFunction | null {
  if (!isRefreshDue(optimizer, 1)) return null;
  return (state) => {
    const moments = refreshOptimizer(optimizer, state.training.moments);
    return { state: { ...state, training: { ...state.training, moments } }, result: {} };
  };
}

/** The state before the first step, with these arrays of a network, or freshly drawn ones. */
export function firstState(
  options: TrainingOptions,
  specs: NamedParameters<ParameterSpec>,
  arrays: NamedParameters = initializeParameters(specs, randomKey(options.seed)),
): AccumulatingState {
  const drawn = Object.entries(arrays);
  const of = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(drawn.filter(([name]) => (specs[name]?.role === "buffer") === isBuffer));
  return startingState(options, of(false), of(true));
}

/** The state before the first step with these weights. */
export function startingState(
  options: TrainingOptions,
  weights: NamedParameters,
  buffers: NamedParameters,
): AccumulatingState {
  const training = {
    weights,
    buffers,
    moments: optimizerState(options.optimizer ?? {}, weights),
    averages: options.emaSigmaRels.map(() => weights),
    ...(options.noise.kind === "infonoise" ? { noise: startingEstimate(options.network) } : {}),
  };
  const isWhole = options.batchDevice === options.batch;
  const gradient = isWhole ? {} : mapTree(weights, zerosLike);
  const told = isWhole || training.noise === undefined ? {} : { noiseSums: mapTree(training.noise, zerosLike) };
  return { training, gradient, ...told, mayUpdate: scalar(0, "bool"), isHalted: scalar(0, "bool") };
}
