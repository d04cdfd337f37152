/** Element-wise operations that are composed of others, for random programs. */
import {
  acos,
  acosh,
  add,
  asin,
  asinh,
  atan,
  atan2,
  atanh,
  ceil,
  cosh,
  elu,
  erf,
  exp2,
  floorDivide,
  fmod,
  gelu,
  leakyRelu,
  log2,
  remainder,
  round,
  sinh,
  softplus,
  tan,
  type Tensor,
  trunc,
  truncateDivide,
} from "../../engine/index.ts";

/** Of one f32. */
export const composedUnaries: readonly ((x: Tensor) => Tensor)[] = [
  (x) => gelu(x),
  (x) => gelu(x, { approximate: "tanh" }),
  (x) => softplus(x),
  (x) => leakyRelu(x),
  (x) => elu(x, 0.5),
  ceil,
  trunc,
  round,
  tan,
  asin,
  acos,
  sinh,
  cosh,
  asinh,
  acosh,
  atanh,
  exp2,
  log2,
];

/** Of two numbers of one dtype: f32, i32 or u32. */
export const divisions = [truncateDivide, floorDivide, fmod, remainder];

/** Of x, and of y, which broadcasts with it, to be differentiated by x. */
export const composedDifferentiated: readonly ((x: Tensor, y: Tensor) => Tensor)[] = [
  (x) => gelu(x),
  (x, y) => softplus(add(x, y), 2),
  (x) => leakyRelu(x),
  (x) => elu(x),
  erf,
  atan,
  atan2,
  fmod,
  (x, y) => remainder(y, x),
  asin,
  acosh,
  sinh,
  log2,
];
