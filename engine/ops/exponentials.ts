/** Powers and logarithms with the base 2. */
import type { Tensor } from "../graph/tensor.ts";
import { add, and, divide, equal, isFinite, log, requireDtype, stopGradient, subtract, where } from "./elementwise.ts";
import { power } from "./powers.ts";
import { round } from "./rounding.ts";

/**
 * 2^x. f32. Whole x give powers of two exactly, except on GPUs, where the last bits may differ.
 * @example console.log(await exp2(tensor([-1, 0.5, 10])).array()); // [ 0.5, 1.4142, 1024 ]
 */
export function exp2(x: Tensor): Tensor {
  requireDtype("exp2", x.dtype, ["f32"]);
  return power(2, x);
}

/**
 * Logarithm with the base 2: -infinity at 0, where the derivative is infinite; NaN below. f32. Powers of two give whole numbers exactly,
 * except on GPUs, where the last bits may differ.
 * @example console.log(await log2(tensor([0.5, 3, 1024])).array()); // [ -1, 1.585, 10 ]
 */
export function log2(x: Tensor): Tensor {
  requireDtype("log2", x.dtype, ["f32"]);
  const quotient = divide(log(x), Math.LN2);
  const whole = round(quotient);
  const isPower = and(isFinite(quotient), equal(exp2(where(isFinite(quotient), whole, 0)), x));
  return add(quotient, stopGradient(where(isPower, subtract(whole, quotient), 0)));
}
