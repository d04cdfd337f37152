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
