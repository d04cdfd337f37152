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
export {
  absolute,
  add,
  and,
  cast,
  clamp,
  cos,
  divide,
  equal,
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
  power,
  reciprocal,
  relu,
  roundToFloat16,
  rsqrt,
  shiftLeft,
  shiftRight,
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
export { einsum } from "./einsum.ts";
export { type Complex, fft, inverseFft, inverseRealFft, realFft } from "./fourier.ts";
export { gridSample, type GridSampleOptions } from "./gridSample.ts";
export { cholesky, determinant, inverse, solve } from "./linearAlgebra.ts";
export * from "./movement.ts";
export { norm, rootMeanSquare, standardDeviation } from "./norms.ts";
export { maxPool, maxPoolWithIndices, meanPool, type MeanPoolOptions, type PoolOptions } from "./pool.ts";
export * from "./reduce.ts";
export { resize, type ResizeCoordinates, type ResizedAxis, type ResizeOptions } from "./resize.ts";
export type { Padding, PerAxis } from "./windows.ts";
