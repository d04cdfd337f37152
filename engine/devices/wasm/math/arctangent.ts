/** The inverse tangent. */
import { type Code, f32x4, type FunctionBuilder, type Local, op } from "../assembler/index.ts";
import { atanCoefficients, halfPiHigh, halfPiLow } from "../../polynomials.ts";
import { absolute, add, and, bind, choose, divide, multiply, or, polynomial, signBit, subtract } from "./lanes.ts";

/** atan x: an odd polynomial up to 1, pi/2 - atan(1 / x) beyond. */
export function atan(f: FunctionBuilder, x: Local): Code {
  const size = bind(f, "size", absolute(x));
  const isFar = bind(f, "isFar", op("f32x4.gt", size, f32x4(1)));
  const t = bind(f, "t", choose(isFar, divide(f32x4(1), size), size));
  const square = bind(f, "square", multiply(t, t));
  const near = bind(f, "near", add(t, multiply(multiply(t, square), polynomial(square, atanCoefficients))));
  const far = subtract(f32x4(halfPiHigh), subtract(near, f32x4(halfPiLow)));
  return or(choose(isFar, far, near), and(x, signBit));
}
