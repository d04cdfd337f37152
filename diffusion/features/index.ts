/**
 * Networks of other programs as extractors of features: their descriptions and weights, as they were fetched, to a program on a device.
 * Safe in a page; files are in `node.ts`.
 */
export { readGraphTopology } from "./graphTopology.ts";
export { readKerasTopology } from "./kerasTopology.ts";
export type { FeatureNetwork, LoadedNetwork, NetworkArray, NetworkArrays, NetworkStep } from "./network.ts";
export { type ExtractorIdentity, networkExtractor } from "./networkExtractor.ts";
export type { InputFormat } from "./prepareImages.ts";
export { decodeWeights } from "./quantizedWeights.ts";
export type { ResizeMethod } from "./resize.ts";
