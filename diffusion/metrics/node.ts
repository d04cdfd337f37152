/** Metrics with files; only for Node. */
export { type ClassifierInfo, readClassifier, type StoredClassifier, writeClassifier } from "./node/classifierFile.ts";
export { featureExtractor, listFeatures, type PictureSize, requireFeatures } from "./node/featureExtractor.ts";
export { isStatisticsFile, readStatistics, writeStatistics } from "./node/statisticsFile.ts";
