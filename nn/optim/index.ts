export { adam, adamCorrections, type AdamMoments, adamMoments, type AdamOptions } from "./adam.ts";
export { cleanGradients, countNonFinite, globalNorm } from "./gradients.ts";
export { learningRate, type LearningRateOptions } from "./learningRate.ts";
export { sgd } from "./sgd.ts";
