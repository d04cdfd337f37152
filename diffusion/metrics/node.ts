/** Metrics with files; only for Node. */
export { featureExtractor, listFeatures, type PictureSize } from "./node/featureExtractor.ts";
