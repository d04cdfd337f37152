/** The denoiser: configuration, arrays, preconditioning, loss, cost. Safe in a page. */
export { type NetworkConfig, networkConfig, networkConfigFromReference } from "./config.ts";
export { edmParameterName, networkConfigFromEdm } from "./edm.ts";
export { denoise, type DenoiserParameters, describeDenoiser, logvar } from "./denoiser.ts";
export {
  edm2Loss,
  type NoiseDistribution,
  type NoiseKind,
  noiseKinds,
  noiseLevels,
  uncertaintyLoss,
  weightedError,
} from "./loss.ts";
export {
  lossWeight,
  type Preconditioning,
  type PreconditionOptions,
  precondition,
  type PredictionTarget,
  predictionTargets,
} from "./precondition.ts";
export { type ConsistencyBatch, consistencyLoss, type ConsistencyTuning, lowerLevels } from "./consistencyLoss.ts";
export { noiseVariance, studentNoise } from "./studentNoise.ts";
export {
  type Denoiser,
  type DenoisingFormula,
  type Evaluated,
  type Evaluation,
  FormulaDenoiser,
} from "./evaluation.ts";
export { imageDropout } from "./imageDropout.ts";
export { DenoiserProgram, type StoredWeights, tensorsOfWeights } from "./denoiserProgram.ts";
export { countNetwork, type LayerCount, type NetworkCount } from "./count.ts";
