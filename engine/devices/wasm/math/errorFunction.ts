/** The error function. */
import { type Code, f32x4, type FunctionBuilder, type Local, op } from "../assembler/index.ts";
import { erfFarCoefficients, erfNearCoefficients, erfSaturation, erfSplit } from "../../polynomials.ts";
import { exp } from "./exponential.ts";
import { absolute, add, and, atMost, bind, choose, multiply, or, polynomial, signBit, subtract } from "./lanes.ts";

/** erf x: an odd polynomial near 0, 1 - e^-h(|x|) with a polynomial h beyond. */
export function erf(f: FunctionBuilder, x: Local): Code {
  const size = bind(f, "size", atMost(absolute(x), erfSaturation));
  const square = bind(f, "square", multiply(size, size));
  const near = add(size, multiply(size, polynomial(square, erfNearCoefficients)));
  const exponent = bind(f, "exponent", op("f32x4.neg", polynomial(size, erfFarCoefficients)));
  const far = subtract(f32x4(1), exp(f, exponent));
  return or(choose(op("f32x4.lt", size, f32x4(erfSplit)), near, far), and(x, signBit));
}
