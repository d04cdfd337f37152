/** Layers of networks of any kind: what each learns is described by a function, and used by another. */
export { type AttentionOptions, scaledDotProductAttention } from "./attention.ts";
export { causalMask, paddingMask } from "./attentionMasks.ts";
export {
  batchNorm,
  type BatchNormOptions,
  type BatchNormParameters,
  batchNormTraining,
  type BatchStatistics,
  describeBatchNorm,
  describeBatchStatistics,
} from "./batchNorm.ts";
export { convolution, describeConvolution } from "./convolution.ts";
export { dropout } from "./dropout.ts";
export { describeEmbedding, embedding, type EmbeddingTable } from "./embedding.ts";
export { describeLayerNorm, layerNorm, type LayerNormParameters, rmsNorm } from "./layerNorm.ts";
export { describeLinear, linear, type LinearParameters, type WeightOptions } from "./linear.ts";
export {
  describeMultiHeadAttention,
  multiHeadAttention,
  type MultiHeadAttentionOptions,
  type MultiHeadAttentionParameters,
} from "./multiHeadAttention.ts";
