/** log and log1p. Coefficients are minimax (Remez exchange, rounded to float32 one by one), own computation. */
import { type Code, f32x4, type FunctionBuilder, i32, i32x4, type Local, op } from "../assembler/index.ts";
import { add, and, bind, choose, divide, multiply, or, polynomial, subtract } from "./lanes.ts";

/** (log(1 + t) - t + t^2 / 2) / t^3 for sqrt(1/2) <= 1 + t <= sqrt(2): relative error of log below 2^-27. */
const logCoefficients = [
  0.3333331346511841, -0.2500016689300537, 0.20002223551273346, -0.16659367084503174, 0.14209559559822083,
  -0.12548863887786865, 0.12113174796104431, -0.10947658866643906, 0.05377516150474548,
];

/** ln 2 in two parts; k times the first is exact for the exponents k of float32. */
const ln2High = 0.693145751953125;
const ln2Low = Math.LN2 - ln2High;

const smallestNormal = 2 ** -126;
/** Bits of the float32 just below sqrt(1/2). */
const sqrtHalfBits = 0x3f35_04f3;

/** x = 2^k m with sqrt(1/2) <= m < sqrt(2), for normal positive x. */
function splitExponent(f: FunctionBuilder, x: Local): { readonly k: Local; readonly m: Local } {
  const above = bind(f, "above", op("i32x4.sub", x, i32x4(sqrtHalfBits)));
  const k = bind(f, "k", op("i32x4.shr_s", above, i32(23)));
  const m = bind(f, "m", op("i32x4.add", and(above, i32x4(0x007f_ffff)), i32x4(sqrtHalfBits)));
  return { k, m };
}

/** k ln 2 + log(1 + t) + correction, smallest parts first. */
function assemble(f: FunctionBuilder, k: Local, t: Local, correction: Code): Code {
  const square = bind(f, "square", multiply(t, t));
  const cubic = multiply(multiply(t, square), polynomial(t, logCoefficients));
  const low = add(cubic, add(multiply(k, f32x4(ln2Low)), correction));
  const tail = subtract(low, multiply(square, f32x4(0.5)));
  return add(multiply(k, f32x4(ln2High)), add(t, tail));
}

/** Natural logarithm: -infinity at both zeros, NaN below, right for subnormal numbers. */
export function log(f: FunctionBuilder, x: Local): Code {
  const ordinary = and(op("f32x4.ge", x, f32x4(smallestNormal)), op("f32x4.lt", x, f32x4(Infinity)));
  const y = bind(f, "y", x);
  const adjust = f.local("v128", "adjust");
  const special = f.local("i32", "special");
  f.set(special, op("i32.eqz", op("i32x4.all_true", ordinary)));
  f.emit(special);
  f.if(
    () => {
      const subnormal = bind(f, "subnormal", op("f32x4.lt", x, f32x4(smallestNormal)));
      f.set(y, choose(subnormal, multiply(x, f32x4(2 ** 23)), x));
      f.set(adjust, and(subnormal, f32x4(-23)));
    },
    () => f.set(adjust, f32x4(0)),
  );
  const { k, m } = splitExponent(f, y);
  const exponent = bind(f, "exponent", add(op("f32x4.convert_i32x4_s", k), adjust));
  const t = bind(f, "t", subtract(m, f32x4(1)));
  const result = bind(f, "result", assemble(f, exponent, t, f32x4(0)));
  f.emit(special);
  f.if(() => fixSpecial(f, result, x, f32x4(0)));
  return [{ kind: "local", op: "local.get", local: result }];
}

/** log(1 + x), exact in sign and relative size near 0. */
export function log1p(f: FunctionBuilder, x: Local): Code {
  const u = bind(f, "u", add(x, f32x4(1)));
  const { k, m } = splitExponent(f, u);
  const exponent = bind(f, "exponent", op("f32x4.convert_i32x4_s", k));
  const isNear = bind(f, "isNear", op("i32x4.eq", k, i32x4(0)));
  const t = bind(f, "t", choose(isNear, x, subtract(m, f32x4(1))));
  // What rounding 1 + x to u lost, relative to u; the larger operand is taken off first. Where k = 0, t = x is exact.
  const small = op("f32x4.lt", x, f32x4(1));
  const lost = choose(small, subtract(x, subtract(u, f32x4(1))), subtract(f32x4(1), subtract(u, x)));
  const correction = op("v128.andnot", divide(lost, u), isNear);
  const result = bind(f, "result", assemble(f, exponent, t, correction));
  const ordinary = and(op("f32x4.gt", x, f32x4(-1)), op("f32x4.lt", x, f32x4(Infinity)));
  f.op("i32.eqz", op("i32x4.all_true", ordinary));
  f.if(() => fixSpecial(f, result, x, f32x4(-1)));
  // log1p(x) rounds to x here; this keeps -0 as well.
  return choose(op("f32x4.lt", op("f32x4.abs", x), f32x4(2 ** -25)), x, result);
}

/** Sets the results at the pole (-infinity), below it (NaN), at infinity (infinity) and at NaN. */
function fixSpecial(f: FunctionBuilder, result: Local, x: Local, pole: Code): void {
  f.set(result, choose(op("f32x4.eq", x, f32x4(Infinity)), x, result));
  f.set(result, choose(op("f32x4.eq", x, pole), f32x4(-Infinity), result));
  // All ones is a NaN.
  f.set(result, or(result, op("v128.not", op("f32x4.ge", x, pole))));
}
