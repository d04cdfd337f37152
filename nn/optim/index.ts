export {
  adam,
  type AdamCorrections,
  adamCorrections,
  type AdamMoments,
  adamMoments,
  type AdamOptions,
  type AdamStep,
  adamW,
  type AdamWOptions,
} from "./adam.ts";
export {
  type HyperballGranularity,
  hyperballGranularities,
  hyperballRadius,
  onHyperball,
} from "./hyperball.ts";
export {
  checkOptimizer,
  type OptimizerName,
  optimizerNames,
  type OptimizerOptions,
  type OptimizerState,
  optimizerState,
  optimizerStep,
  isRefreshDue,
  refreshOptimizer,
  soapInterval,
} from "./optimizer.ts";
export { orthogonalBand, orthogonalize } from "./orthogonalize.ts";
export { cleanGradients, clipByNorm, countNonFinite, globalNorm } from "./gradients.ts";
export {
  learningRate,
  type LearningRateOptions,
  needsEnd,
  type RateSchedule,
  rateSchedules,
} from "./learningRate.ts";
export {
  constantSchedule,
  cosineSchedule,
  type DecayOptions,
  linearSchedule,
  type OneCycleOptions,
  oneCycleSchedule,
  type Schedule,
  type StableOptions,
  stableSchedule,
} from "./schedules.ts";
export { type MomentumOptions, sgd, sgdVelocity, sgdWithMomentum } from "./sgd.ts";
