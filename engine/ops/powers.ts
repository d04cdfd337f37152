/** Powers of floats and of integers. */
import { EvenkeelError } from "../errors.ts";
import { isInteger } from "../graph/dtype.ts";
import { uniformValue } from "../graph/uniform.ts";
import { Tensor, type TensorLike } from "../graph/tensor.ts";
import { onesLike } from "./creation.ts";
import { align, and, binary, cast, equal, less, multiply, where } from "./elementwise.ts";
import { shiftRight } from "./shifts.ts";

/**
 * x to the power y, broadcast. f32: as C's `pow`: a negative x needs a whole y, or the result is NaN. The derivative by y is NaN for a
 * negative x; for x = 0 it is 0 where y is at least 0, and -infinity below. By x it is 0 where y is 0, at x = 0 too. Small whole numbers y
 * cost a few products.
 *
 * i32 and u32: exact modulo 2^32. A tensor y may be negative where x is i32: 1 and -1 then have their powers, other integers 0,
 * PyTorch's convention.
 * @throws EvenkeelError `shape` or `dtype` as all operations of two tensors; `range` for an integer x and a negative number y.
 * @example console.log(await power(tensor([-2, 4]), 3).array()); // [ -8, 64 ]
 */
export function power(x: TensorLike, y: TensorLike): Tensor {
  const [base, exponent] = align("power", x, y);
  if (!isInteger(base.dtype)) return binary("power", x, y);
  const [left, right] = [new Tensor(base), new Tensor(exponent)];
  const known = uniformValue(exponent);
  if (known !== undefined && (known >= 0 || typeof y === "number")) return numberedPower(left, known);
  const magnitude = squaredPower(left, right);
  if (left.dtype === "u32") return magnitude;
  const inverse = where(equal(left, 1), 1, where(equal(left, -1), where(isOdd(right), left, 1), 0));
  return where(less(right, 0), inverse, magnitude);
}

const isOdd = (x: Tensor): Tensor => equal(and(x, 1), 1);

/** x^exponent by repeated squaring. */
function numberedPower(x: Tensor, exponent: number): Tensor {
  if (exponent < 0) {
    throw new EvenkeelError(
      "range",
      `power: ${x.dtype} to the power ${exponent}: integers have no negative powers. Cast x to f32 first.`,
    );
  }
  let [result, square]: [Tensor | undefined, Tensor] = [undefined, x];
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = result === undefined ? square : multiply(result, square);
    if (rest > 1) square = multiply(square, square);
  }
  return result ?? onesLike(x);
}

/** x^y for the 32 bits of y, of which each squares once more. */
function squaredPower(x: Tensor, y: Tensor): Tensor {
  const bits = cast(y, "u32");
  let [result, square] = [where(isOdd(bits), x, 1), x];
  for (let place = 1; place < 32; place++) {
    square = multiply(square, square);
    result = where(isOdd(shiftRight(bits, place)), multiply(result, square), result);
  }
  return result;
}
