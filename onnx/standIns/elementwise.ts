import {
  absolute,
  add,
  and,
  cast,
  cos,
  divide,
  equal,
  exp,
  expm1,
  floor,
  greater,
  less,
  log,
  log1p,
  maximum,
  minimum,
  multiply,
  negate,
  notEqual,
  or,
  power as powerOfFloats,
  shiftLeft as shiftLeftBy,
  shiftRight as shiftRightBy,
  sign,
  sin,
  sqrt,
  subtract,
  type Tensor,
  where,
} from "../../engine/index.ts";

export const ceil = (x: Tensor): Tensor => negate(floor(negate(x)));
export const trunc = (x: Tensor): Tensor => where(less(x, 0), ceil(x), floor(x));

export function round(x: Tensor): Tensor {
  const low = floor(x);
  const rest = subtract(x, low);
  const isOdd = equal(subtract(low, multiply(floor(multiply(low, 0.5)), 2)), 1);
  const up = or(greater(rest, 0.5), and(equal(rest, 0.5), isOdd));
  return where(up, add(low, 1), low);
}

export const softplus = (x: Tensor): Tensor => add(maximum(x, 0), log1p(exp(negate(absolute(x)))));
export const elu = (x: Tensor, alpha = 1): Tensor => where(less(x, 0), multiply(expm1(minimum(x, 0)), alpha), x);
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor => where(less(x, 0), multiply(x, slope), x);
export const tan = (x: Tensor): Tensor => divide(sin(x), cos(x));
export const sinh = (x: Tensor): Tensor => multiply(subtract(expm1(x), expm1(negate(x))), 0.5);
export const cosh = (x: Tensor): Tensor => multiply(add(exp(x), exp(negate(x))), 0.5);

export function asinh(x: Tensor): Tensor {
  const size = absolute(x);
  const root = sqrt(add(multiply(size, size), 1));
  return multiply(sign(x), log1p(add(size, divide(multiply(size, size), add(1, root)))));
}

export const acosh = (x: Tensor): Tensor => log(add(x, sqrt(subtract(multiply(x, x), 1))));
export const atanh = (x: Tensor): Tensor => multiply(0.5, log1p(divide(multiply(2, x), subtract(1, x))));

const asFloat = (x: Tensor): Tensor => cast(x, "f32");

export function remainder(x: Tensor, y: Tensor): Tensor {
  const [a, b] = [asFloat(x), asFloat(y)];
  return cast(subtract(a, multiply(b, floor(divide(a, b)))), x.dtype);
}

export function fmod(x: Tensor, y: Tensor): Tensor {
  const [a, b] = [asFloat(x), asFloat(y)];
  return cast(subtract(a, multiply(b, trunc(divide(a, b)))), x.dtype);
}

export const truncateDivide = (x: Tensor, y: Tensor): Tensor =>
  x.dtype === "f32" ? trunc(divide(x, y)) : cast(trunc(divide(asFloat(x), asFloat(y))), x.dtype);

export const power = (x: Tensor, y: Tensor): Tensor => cast(powerOfFloats(asFloat(x), asFloat(y)), x.dtype);

const shiftBy = (x: Tensor, amount: Tensor, shift: (x: Tensor, amount: number) => Tensor): Tensor =>
  [1, 2, 4, 8, 16].reduce((y, bit) => where(notEqual(and(amount, bit), 0), shift(y, bit), y), x);
export const shiftLeft = (x: Tensor, amount: Tensor): Tensor => shiftBy(x, amount, shiftLeftBy);
export const shiftRight = (x: Tensor, amount: Tensor): Tensor => shiftBy(x, amount, shiftRightBy);
