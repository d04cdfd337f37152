/** Magnitude-preserving primitives: unit variance in, unit variance out. */
export { type AttentionTap, cosineAttention, dotProductAttention } from "./attention.ts";
export { describeMpConv, forceNormalize, mpConv, type WeightParameters } from "./conv.ts";
export { describeFourier, fourierFeatures, type FourierParameters, mpFourier } from "./fourier.ts";
export { mpCat, mpSilu, mpSum } from "./functions.ts";
export { normalize, pixelNorm } from "./normalize.ts";
export { resample, type ResampleMode } from "./resample.ts";
