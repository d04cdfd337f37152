/** Metrics: how far a set of pictures is from another, in a stated space of features. */
export { checkImages, type ImageExtents } from "./checkImages.ts";
export type { FeatureExtractor, FeatureOptions } from "./features.ts";
export { pixelFeatures } from "./pixelFeatures.ts";
