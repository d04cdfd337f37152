/** Functions of angles in radians and their inverses. f32. */
import { Tensor, type TensorLike } from "../graph/tensor.ts";
import {
  absolute,
  add,
  align,
  and,
  atan,
  cos,
  divide,
  equal,
  less,
  multiply,
  negate,
  or,
  requireDtype,
  sign,
  sin,
  sqrt,
  subtract,
  where,
} from "./elementwise.ts";

/**
 * Tangent of x in radians. f32.
 * @example console.log(await tan(tensor([0, 1, Math.PI / 4])).array()); // [ 0, 1.5574, 1 ]
 */
export function tan(x: Tensor): Tensor {
  requireDtype("tan", x.dtype, ["f32"]);
  return divide(sin(x), cos(x));
}

/** atan(root) is half the angle from 1 to `cosine`, for a cosine from 0 to 1; NaN above 1. */
function rootOfHalfAngle(cosine: Tensor): Tensor {
  return divide(sqrt(subtract(1, cosine)), sqrt(add(cosine, 1)));
}

/**
 * Inverse sine, from -pi/2 to pi/2; NaN beyond -1 and 1, where its derivative is infinite. f32.
 * @example console.log(await asin(tensor([1, 0, 0.5, 2])).array()); // [ 1.5708, 0, 0.5236, NaN ]
 */
export function asin(x: Tensor): Tensor {
  requireDtype("asin", x.dtype, ["f32"]);
  const isNegative = less(x, 0);
  const size = where(isNegative, negate(x), x);
  // Near 1 by the angle from there, as 1 - x^2 cancels. What isn't chosen must have a finite derivative.
  const isLarge = less(0.7, size);
  const [small, large] = [where(isLarge, 0, size), where(isLarge, size, 0.7)];
  const direct = divide(small, sqrt(multiply(subtract(1, small), add(small, 1))));
  const angle = atan(where(isLarge, rootOfHalfAngle(large), direct));
  const magnitude = where(isLarge, subtract(Math.PI / 2, multiply(angle, 2)), angle);
  return where(isNegative, negate(magnitude), magnitude);
}

/**
 * Inverse cosine, from 0 to pi; NaN beyond -1 and 1, where its derivative is -infinity. f32.
 * @example console.log(await acos(tensor([1, 0, -1, 2])).array()); // [ 0, 1.5708, 3.1416, NaN ]
 */
export function acos(x: Tensor): Tensor {
  requireDtype("acos", x.dtype, ["f32"]);
  const isNegative = less(x, 0);
  const angle = multiply(atan(rootOfHalfAngle(where(isNegative, negate(x), x))), 2);
  return where(isNegative, subtract(Math.PI, angle), angle);
}

/** Whether the sign is negative, that of -0, too. */
function hasNegativeSign(x: Tensor): Tensor {
  return or(less(x, 0), and(equal(x, 0), less(divide(1, x), 0)));
}

/**
 * The angle of the point (x, y), from -pi to pi, broadcast; signs of zeros and infinities count as in C's `atan2`. The derivative is
 * (x dy - y dx) / (x^2 + y^2), right where squares would overflow, and NaN at (0, 0), as in PyTorch; 0 where both are infinite. f32.
 * @throws EvenkeelError `shape` or `dtype`, as all operations of two tensors.
 * @example console.log(await atan2(tensor([1, 1, -1]), tensor([1, -1, -1])).array()); // [ 0.7854, 2.3562, -2.3562 ]
 */
export function atan2(y: TensorLike, x: TensorLike): Tensor {
  const [left, right] = align("atan2", y, x);
  requireDtype("atan2", left.dtype, ["f32"]);
  const given = [new Tensor(left), new Tensor(right)] as const;
  const bothInfinite = and(equal(absolute(given[0]), Infinity), equal(absolute(given[1]), Infinity));
  const [height, width] = given.map((z) => where(bothInfinite, sign(z), z)) as [Tensor, Tensor];
  const isSteep = less(absolute(width), absolute(height));
  const bothZero = and(equal(width, 0), equal(height, 0));
  const slope = divide(where(isSteep, width, height), where(isSteep, height, width));
  const angle = where(bothZero, height, atan(slope));
  const fromAbove = subtract(where(less(height, 0), -Math.PI / 2, Math.PI / 2), angle);
  const halfTurn = where(hasNegativeSign(height), -Math.PI, Math.PI);
  return where(isSteep, fromAbove, where(hasNegativeSign(width), add(angle, halfTurn), angle));
}
