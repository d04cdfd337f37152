/** Data in the plane whose density and score are known exactly, and a small model of them. */
export { createMixture, mixtureDensities, mixtureDensity, type Mixture, type MixtureDensity } from "./mixture.ts";
export { RandomState } from "./randomState.ts";
export { describeScoreModel, logDensity, modelScore, scoreLoss, type ScoreModelConfig } from "./scoreModel.ts";
export { growToyMixture, type ToyClass, toyClasses, toySigmaData } from "./tree.ts";
