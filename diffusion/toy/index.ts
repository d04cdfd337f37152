/** Data in the plane whose density and score are known exactly, and a small model of them. Safe in a page; files are in `node.ts`. */
export {
  type NoiseComparison,
  compareDistribution,
  type DistributionReport,
  slicedWasserstein,
} from "./distribution.ts";
export { addNoise, drawPoints, type ToyNoise } from "./draw.ts";
export { excessLoss, type ExcessLoss, type ExcessLossOptions } from "./excessLoss.ts";
export { createMixture, mixtureDensities, mixtureDensity, type Mixture, type MixtureDensity } from "./mixture.ts";
export {
  exactScorer,
  guidedScorer,
  type PointScorer,
  type PointScores,
  ScoreProgram,
} from "./pointScores.ts";
export { RandomState } from "./randomState.ts";
export { sampleToy, type ToySampleOptions, toySampling } from "./sampleToy.ts";
export { describeScoreModel, logDensity, modelScore, scoreLoss, type ScoreModelConfig } from "./scoreModel.ts";
export { type ToyRecipe, toyRecipes, ToyTrainer, type ToyTrainingOptions } from "./trainer.ts";
export { growToyMixture, type ToyClass, toyClasses } from "./tree.ts";
