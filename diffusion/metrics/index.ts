/** Metrics: how far a set of pictures is from another, in a stated space of features. Safe in a page; files are in `node.ts`. */
export { chooseIndices } from "./chooseIndices.ts";
export {
  type ClassifierConfig,
  classifierConfig,
  type ClassifierTraining,
  ClassifierTrainer,
  defaultClassifierTraining,
} from "./classifier/index.ts";
export { FeatureCollector, type FeatureSet, type FeatureSpace, requireSameSpace } from "./featureSet.ts";
export type { FeatureExtractor, FeatureOptions } from "./features.ts";
export {
  type FrechetDistance,
  frechetDistance,
  frechetReference,
  type FrechetReference,
} from "./frechet.ts";
export { imageExtents, type ImageExtents } from "./imageExtents.ts";
export { type KidEstimate, type KidOptions, kernelDistance } from "./kid.ts";
export {
  type Measurement,
  type MeasureOptions,
  MetricMeter,
  type MetricName,
  metricNames,
  type RepeatedMeasurement,
  summarizeRepeats,
  measurementWarnings,
} from "./measure.ts";
export { fewestPictures, parseMetrics } from "./parseMetrics.ts";
export { pixelFeatures } from "./pixelFeatures.ts";
export { type NeighbourManifold, neighbourManifold, type PrecisionRecall, precisionRecall } from "./precisionRecall.ts";
export { featureStatistics, type FeatureStatistics, StatisticsAccumulator } from "./statistics.ts";
