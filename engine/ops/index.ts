export * from "./contract.ts";
export { conv2d, type Conv2dOptions } from "./conv.ts";
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
  xor,
} from "./elementwise.ts";
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
export * from "./movement.ts";
export { norm, rootMeanSquare, standardDeviation } from "./norms.ts";
export { argsort, sort, type SortOptions, topK, type TopKOptions } from "./order.ts";
export * from "./reduce.ts";
export { scatterAlongAxis, scatterNd, type ScatterMode } from "./scatter.ts";
