/** Hyperbolic functions and their inverses, accurate near 0 and up to the largest results. f32. `tanh` is in `elementwise.ts`. */
import type { Tensor } from "../graph/tensor.ts";
import {
  absolute,
  add,
  divide,
  expm1,
  isFinite,
  less,
  log,
  log1p,
  multiply,
  negate,
  requireDtype,
  sqrt,
  square,
  subtract,
  where,
} from "./elementwise.ts";

/** `smooth` where x is finite, `beyond` elsewhere, whose value and derivative are those at infinity. */
function finiteOr(x: Tensor, smooth: (x: Tensor) => Tensor, beyond: (x: Tensor) => Tensor): Tensor {
  const finite = isFinite(x);
  return where(finite, smooth(where(finite, x, 0)), beyond(x));
}

/** sinh(x / 2) and cosh(x / 2) - 1, both doubled: nothing cancels, and their products overflow where the result does. */
function twiceHalves(x: Tensor): readonly [sinh: Tensor, coshLessOne: Tensor] {
  const half = multiply(x, 0.5);
  const [up, down] = [expm1(half), expm1(negate(half))];
  return [subtract(up, down), add(up, down)];
}

/**
 * Hyperbolic sine (e^x - e^-x) / 2. f32.
 * @example console.log(await sinh(tensor([0, 1, -1])).array()); // [ 0, 1.1752, -1.1752 ]
 */
export function sinh(x: Tensor): Tensor {
  requireDtype("sinh", x.dtype, ["f32"]);
  const smooth = (y: Tensor): Tensor => {
    const [sine, cosineLessOne] = twiceHalves(y);
    return multiply(multiply(sine, 0.5), add(cosineLessOne, 2));
  };
  return finiteOr(x, smooth, (y) => multiply(y, absolute(y)));
}

/**
 * Hyperbolic cosine (e^x + e^-x) / 2. f32.
 * @example console.log(await cosh(tensor([0, 1, -1])).array()); // [ 1, 1.5431, 1.5431 ]
 */
export function cosh(x: Tensor): Tensor {
  requireDtype("cosh", x.dtype, ["f32"]);
  const smooth = (y: Tensor): Tensor => {
    const [sine] = twiceHalves(y);
    return add(multiply(multiply(sine, 0.5), sine), 1);
  };
  return finiteOr(x, smooth, square);
}

/** From here on ln(2x) is the inverse of sinh and cosh to the last bit: the rest is 1 / (4 x^2). */
const farFrom = 2 ** 13;

/** ln(2 x) for large x, `near` of others. */
function farLogarithm(x: Tensor, near: (x: Tensor) => Tensor): Tensor {
  const isFar = less(farFrom, x);
  return where(isFar, add(log(where(isFar, x, 1)), Math.LN2), near(where(isFar, 1, x)));
}

/**
 * Inverse hyperbolic sine. f32.
 * @example console.log(await asinh(tensor([0, 1, -1])).array()); // [ 0, 0.88137, -0.88137 ]
 */
export function asinh(x: Tensor): Tensor {
  requireDtype("asinh", x.dtype, ["f32"]);
  const isNegative = less(x, 0);
  const magnitude = farLogarithm(where(isNegative, negate(x), x), (size) =>
    log1p(multiply(size, add(divide(size, add(sqrt(add(square(size), 1)), 1)), 1))),
  );
  return where(isNegative, negate(magnitude), magnitude);
}

/**
 * Inverse hyperbolic cosine, from 0 on; NaN below 1, where its derivative is infinite. f32.
 * @example console.log(await acosh(tensor([1, 2, 0])).array()); // [ 0, 1.317, NaN ]
 */
export function acosh(x: Tensor): Tensor {
  requireDtype("acosh", x.dtype, ["f32"]);
  return farLogarithm(x, (y) => {
    const above = subtract(y, 1);
    return log1p(add(above, multiply(sqrt(above), sqrt(add(above, 2)))));
  });
}

/**
 * Inverse hyperbolic tangent: infinite at -1 and 1, where its derivative is infinite as well; NaN beyond. f32.
 * @example console.log(await atanh(tensor([0, 0.5, 1])).array()); // [ 0, 0.54931, Infinity ]
 */
export function atanh(x: Tensor): Tensor {
  requireDtype("atanh", x.dtype, ["f32"]);
  return multiply(subtract(log1p(x), log1p(negate(x))), 0.5);
}
