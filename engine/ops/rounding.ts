/** Whole numbers near a number. f32; beyond 2^23 every number is whole. None has a derivative. */
import type { Tensor } from "../graph/tensor.ts";
import {
  and,
  equal,
  floor,
  less,
  multiply,
  negate,
  notEqual,
  or,
  requireDtype,
  subtract,
  where,
} from "./elementwise.ts";

/**
 * The smallest whole number not below x; -0 from -1 to 0, both excluded. f32. It has no derivative.
 * @example console.log(await ceil(tensor([1.5, -1.5])).array()); // [ 2, -1 ]
 */
export function ceil(x: Tensor): Tensor {
  requireDtype("ceil", x.dtype, ["f32"]);
  return negate(floor(negate(x)));
}

/**
 * x rounded towards zero, which keeps x's sign. f32. It has no derivative.
 * @example console.log(await trunc(tensor([1.7, -1.7])).array()); // [ 1, -1 ]
 */
export function trunc(x: Tensor): Tensor {
  requireDtype("trunc", x.dtype, ["f32"]);
  return where(less(x, 0), ceil(x), floor(x));
}

/**
 * The nearest whole number, the even one of two: NumPy's and PyTorch's `round`, IEEE 754's rounding. 0 keeps x's sign. f32. It has no
 * derivative.
 * @example console.log(await round(tensor([0.5, 1.5, 2.5, -1.7])).array()); // [ 0, 2, 2, -2 ]
 */
export function round(x: Tensor): Tensor {
  requireDtype("round", x.dtype, ["f32"]);
  const below = floor(x);
  const rest = subtract(x, below);
  const isOdd = notEqual(multiply(floor(multiply(below, 0.5)), 2), below);
  const isUp = or(less(0.5, rest), and(equal(rest, 0.5), isOdd));
  return where(isUp, ceil(x), below);
}
