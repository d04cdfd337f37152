/** Networks of other programs as extractors of features. */
export { applyNetwork } from "./apply.ts";
export { readGraphTopology } from "./graphTopology.ts";
export { readKerasTopology } from "./kerasTopology.ts";
export type { FeatureNetwork, NetworkArray, NetworkArrays, LoadedNetwork, NetworkStep } from "./network.ts";
export { type ExtractorIdentity, networkExtractor } from "./networkExtractor.ts";
export { type ImagePreparation, imagePreparation, type InputFormat } from "./prepareImages.ts";
export { decodeWeights } from "./quantizedWeights.ts";
export { type ChannelResizer, channelResizer, type ResizeMethod } from "./resize.ts";
