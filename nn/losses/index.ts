/** Losses: of classes, and means in which some examples count more than others. */
export { type BinaryCrossEntropyOptions, binaryCrossEntropyWithLogits } from "./binaryCrossEntropy.ts";
export { crossEntropy, type CrossEntropyOptions } from "./crossEntropy.ts";
export { alongFirstAxes, type Reduction, weighted, weightedMean } from "./weightedMean.ts";
