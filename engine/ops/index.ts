export { elu, gelu, type GeluOptions, leakyRelu, softplus } from "./activations.ts";
export { type BorderWidths, padEdge, padReflect, padWrap } from "./borders.ts";
export * from "./contract.ts";
export { conv2d, type Conv2dOptions } from "./conv.ts";
export { conv1d, conv3d, type ConvOptions } from "./conv1dAnd3d.ts";
export {
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type ConvTransposeOptions,
} from "./convTranspose.ts";
export * from "./creation.ts";
export { floorDivide, fmod, remainder, truncateDivide } from "./division.ts";
export {
  absolute,
  add,
  and,
  atan,
  cast,
  clamp,
  cos,
  divide,
  equal,
  erf,
  exp,
  expm1,
  floor,
  greater,
  greaterEqual,
  isFinite,
  isNaN,
  less,
  lessEqual,
  log,
  log1p,
  maximum,
  minimum,
  multiply,
  negate,
  not,
  notEqual,
  or,
  reciprocal,
  relu,
  roundToFloat16,
  rsqrt,
  sigmoid,
  sign,
  silu,
  sin,
  sqrt,
  square,
  stopGradient,
  subtract,
  tanh,
  where,
  withDerivativeOf,
  xor,
} from "./elementwise.ts";
export { exp2, log2 } from "./exponentials.ts";
export { acosh, asinh, atanh, cosh, sinh } from "./hyperbolic.ts";
export * from "./movement.ts";
export { norm, rootMeanSquare, standardDeviation } from "./norms.ts";
export { power } from "./powers.ts";
export * from "./reduce.ts";
export { ceil, round, trunc } from "./rounding.ts";
export { shiftLeft, shiftRight } from "./shifts.ts";
export { acos, asin, atan2, tan } from "./trigonometry.ts";
export {
  cumulativeProduct,
  cumulativeSum,
  type CumulativeOptions,
  product,
} from "./cumulative.ts";
export { diag, keepLowerTriangle, keepUpperTriangle } from "./diagonal.ts";
export {
  type DynamicStart,
  dynamicSlice,
  dynamicUpdateSlice,
  gather,
  gatherNd,
  scatterAdd,
  takeAlongAxis,
} from "./indexing.ts";
export { argsort, sort, type SortOptions, topK, type TopKOptions } from "./order.ts";
export { scatterAlongAxis, scatterNd, type ScatterMode } from "./scatter.ts";
export { einsum } from "./einsum.ts";
export { type Complex, fft, inverseFft, inverseRealFft, realFft } from "./fourier.ts";
export { gridSample, type GridSampleOptions } from "./gridSample.ts";
export { cholesky, determinant, inverse, solve } from "./linearAlgebra.ts";
export { maxPool, maxPoolWithIndices, meanPool, type MeanPoolOptions, type PoolOptions } from "./pool.ts";
export { resize, type ResizeCoordinates, type ResizedAxis, type ResizeOptions } from "./resize.ts";
export type { Padding, PerAxis } from "./windows.ts";
