/** Training: the trainer, one step and its parts, what it takes, how it is validated. Safe in a page. */
export type { AccumulatingState, PartReport } from "./accumulate.ts";
export { type AverageError, type AverageErrorOptions, averageErrors } from "./averageErrors.ts";
export { chooseTrainingDevice, trainingWorkload } from "./automaticDevice.ts";
export { type ExplainedProgram, explainTraining, type ExplainTrainingOptions } from "./explainTraining.ts";
export { leastTrainingMemory, type MemoryForecast, trainingMemory } from "./memory.ts";
export { stepSchedule } from "./schedule.ts";
export { type PartInputs, type SharedStep, sharedStep, type UpdateInputs } from "./sharedStep.ts";
export { checkTrainingOptions, type TrainingOptions } from "./options.ts";
export {
  batchLoss,
  denoiserParameters,
  drawDropout,
  drawNoise,
  type NoisyBatch,
  normalizeWeights,
  cotangentScale,
  objectiveGradient,
  type StepOptions,
  type StepReport,
  type StepSchedule,
  type TrainingBatch,
  trainingStep,
  type TrainingState,
  updateTrainingState,
} from "./step.ts";
export {
  infoNoiseEdges,
  type NoiseEstimate,
  noiseShares,
  sharedNoiseLevels,
  startingEstimate,
} from "./infoNoise.ts";
export type { BegunStep, StepStatistics } from "./begunStep.ts";
export { type StepProbe, Trainer } from "./trainer.ts";
export { type ValidationError, validationSigmas, Validator } from "./validation.ts";
export { type LayerMagnitude, MagnitudeProbe } from "./magnitudes.ts";
