/**
 * Division with whole quotients and what it leaves over, of f32, i32 and u32. Integers are exact over their whole range: by 0 both the
 * quotient and the rest are 0, as in NumPy, and -2^31 / -1 is -2^31, modulo 2^32. f32 follows C's fmod, which is exact.
 */
import { isInteger } from "../graph/dtype.ts";
import { Tensor, type TensorLike } from "../graph/tensor.ts";
import {
  add,
  align,
  and,
  binary,
  divide,
  equal,
  isFinite,
  less,
  multiply,
  negate,
  not,
  notEqual,
  or,
  requireDtype,
  stopGradient,
  subtract,
  where,
  xor,
} from "./elementwise.ts";
import { round } from "./rounding.ts";

function operands(operation: string, x: TensorLike, y: TensorLike): [Tensor, Tensor] {
  const [left, right] = align(operation, x, y);
  requireDtype(operation, left.dtype, ["f32", "i32", "u32"]);
  return [new Tensor(left), new Tensor(right)];
}

/**
 * x / y rounded towards zero, broadcast; PyTorch's `div(..., rounding_mode="trunc")`. f32: the whole quotient of the numbers as they
 * are, up to 2^20, beyond it within the roundings of a division; x / 0 and infinity / y are infinite or NaN as in `divide`. i32, u32:
 * exact; 0 where y is 0; -2^31 / -1 is -2^31. It has no derivative.
 * @throws EvenkeelError `shape` or `dtype`, as all operations of two tensors.
 * @example console.log(await truncateDivide(tensor([7, -7]), 2).array()); // [ 3, -3 ]
 */
export function truncateDivide(x: TensorLike, y: TensorLike): Tensor {
  const [left, right] = operands("truncateDivide", x, y);
  if (isInteger(left.dtype)) return binary("truncateDivide", left, right);
  const quotient = divide(subtract(left, binary("fmod", left, right)), right);
  return wholeQuotient(left, right, quotient, or(equal(right, 0), not(isFinite(left))));
}

/**
 * The largest whole number not above x / y, broadcast; NumPy's `floor_divide`, Python's `//`. f32: of the numbers as they are, up to 2^20,
 * beyond it within the roundings of a division; x / 0 is infinite or NaN, infinity / y is NaN. i32, u32: exact; 0 where y is 0;
 * -2^31 / -1 is -2^31. It has no derivative.
 * @throws EvenkeelError `shape` or `dtype`, as all operations of two tensors.
 * @example console.log(await floorDivide(tensor([7, -7]), 2).array()); // [ 3, -4 ]
 */
export function floorDivide(x: TensorLike, y: TensorLike): Tensor {
  const [left, right] = operands("floorDivide", x, y);
  if (left.dtype === "u32") return binary("truncateDivide", left, right);
  if (left.dtype === "i32") {
    const quotient = binary("truncateDivide", left, right);
    return where(isBelow(integerRest(left, right), right), subtract(quotient, 1), quotient);
  }
  const rest = binary("fmod", left, right);
  const quotient = divide(subtract(left, rest), right);
  const lowered = where(isBelow(rest, right), subtract(quotient, 1), quotient);
  return wholeQuotient(left, right, lowered, equal(right, 0));
}

/**
 * What is left of x when y is taken off as often as |x / y| allows, broadcast: C's `fmod`, with the sign of x. Exact. f32: NaN where y is 0
 * or x infinite, x where y is infinite. i32, u32: 0 where y is 0. The derivative by x is 1, that by y minus the whole quotient, at jumps,
 * too.
 * @throws EvenkeelError `shape` or `dtype`, as all operations of two tensors.
 * @example console.log(await fmod(tensor([7, -7]), 3).array()); // [ 1, -1 ]
 */
export function fmod(x: TensorLike, y: TensorLike): Tensor {
  const [left, right] = operands("fmod", x, y);
  return isInteger(left.dtype) ? integerRest(left, right) : binary("fmod", left, right);
}

/**
 * x - floorDivide(x, y) * y, broadcast, with the sign of y: NumPy's and PyTorch's `remainder`, Python's `%`. Integers are exact, and 0
 * where y is 0. f32 is `fmod`, plus y where the signs differ; 0 has the sign of y, as in NumPy; NaN where y is 0 or x infinite. The
 * derivative by x is 1, that by y minus the whole quotient, at jumps, too.
 * @throws EvenkeelError `shape` or `dtype`, as all operations of two tensors.
 * @example console.log(await remainder(tensor([7, -7]), 3).array()); // [ 1, 2 ]
 */
export function remainder(x: TensorLike, y: TensorLike): Tensor {
  const [left, right] = operands("remainder", x, y);
  if (left.dtype === "u32") return integerRest(left, right);
  const rest = left.dtype === "i32" ? integerRest(left, right) : binary("fmod", left, right);
  const raised = where(isBelow(rest, right), add(rest, right), rest);
  // -0 + 0 is 0, so that zeros get the sign wanted; other numbers stay.
  return left.dtype === "i32" ? raised : where(less(right, 0), negate(subtract(0, raised)), add(raised, 0));
}

function integerRest(x: Tensor, y: Tensor): Tensor {
  return where(equal(y, 0), 0, subtract(x, multiply(binary("truncateDivide", x, y), y)));
}

/** Whether a rest towards zero isn't 0 and has the sign that y hasn't: the quotient was rounded up. */
function isBelow(rest: Tensor, y: Tensor): Tensor {
  return and(notEqual(rest, 0), xor(less(rest, 0), less(y, 0)));
}

/** A quotient that is whole but for roundings, with the sign of x / y if it is 0; x / y itself where there is none. */
function wholeQuotient(x: Tensor, y: Tensor, quotient: Tensor, hasNone: Tensor): Tensor {
  const direct = stopGradient(divide(x, y));
  const whole = round(quotient);
  return where(hasNone, direct, where(equal(whole, 0), multiply(direct, 0), whole));
}
