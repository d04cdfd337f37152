/** Data in the plane whose density and score are known exactly, and a small model of them. */
export {
  type NoiseComparison,
  compareDistribution,
  type DistributionReport,
  slicedWasserstein,
} from "./distribution.ts";
export { addNoise, drawPoints, drawSigmas, type ToyNoise } from "./draw.ts";
export { excessLoss, type ExcessLoss, type ExcessLossOptions } from "./excessLoss.ts";
export { createMixture, mixtureDensities, mixtureDensity, type Mixture, type MixtureDensity } from "./mixture.ts";
export {
  exactScorer,
  guidedScorer,
  type PointScorer,
  type PointScores,
  scoreDenoiser,
  ScoreProgram,
} from "./pointScores.ts";
export { RandomState } from "./randomState.ts";
export { sampleToy, type ToySampleOptions, toySampling } from "./sampleToy.ts";
export { describeScoreModel, logDensity, modelScore, scoreLoss, type ScoreModelConfig } from "./scoreModel.ts";
export {
  type ToyBatch,
  type ToyRecipe,
  toyRecipes,
  type ToySchedule,
  type ToyState,
  toyStep,
  ToyTrainer,
  type ToyTrainingOptions,
} from "./trainer.ts";
export { growToyMixture, type ToyClass, toyClasses, toySigmaData } from "./tree.ts";
