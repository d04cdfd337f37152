export { accumulateGradient, type AccumulatingState, applyGradient } from "./accumulate.ts";
export { findNonFinite, type NonFiniteLayer } from "./diagnose.ts";
export { leastTrainingMemory, type MemoryForecast, trainingMemory } from "./memory.ts";
export { checkTrainingOptions, type TrainingOptions } from "./options.ts";
export {
  denoiserParameters,
  drawNoise,
  type NoisyBatch,
  normalizeWeights,
  type StepOptions,
  type StepReport,
  type StepSchedule,
  type TrainingBatch,
  trainingStep,
  type TrainingState,
} from "./step.ts";
export { type HostBatch, type StepProbe, type StepStatistics, Trainer } from "./trainer.ts";
export { type ValidationError, validationSigmas, Validator } from "./validation.ts";
export { type LayerMagnitude, MagnitudeProbe } from "./magnitudes.ts";
