/** Element by element: arithmetic, elementary functions, bounds. */
import {
  absolute,
  acos,
  acosh,
  add,
  asin,
  asinh,
  atan,
  atanh,
  cast,
  ceil,
  clamp,
  cos,
  cosh,
  divide,
  erf,
  exp,
  floor,
  fmod,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  power,
  reciprocal,
  remainder,
  round,
  shiftLeft,
  shiftRight,
  sign,
  sin,
  sinh,
  sqrt,
  subtract,
  tan,
  tanh,
  type Tensor,
  truncateDivide,
} from "../../engine/index.ts";
import { flag, float, oneOf, unused } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { type Operator, operator, type OperatorTable } from "../build/operator.ts";
import { ofTwo } from "./legacyBroadcast.ts";

const ofOne = (build: (x: Tensor) => Tensor, since = 1): Operator =>
  operator({ since, wraps: true, attributes: { consumed_inputs: unused }, build: (call) => build(call.tensor(0)) });

const ofMany = (build: (all: readonly [Tensor, ...Tensor[]]) => Tensor): Operator =>
  operator({ wraps: true, attributes: { consumed_inputs: unused }, build: (call) => build(call.tensors()) });

/** x to the power y: of the first operand's type, whatever that of the second. */
function raise(x: Tensor, y: Tensor, call: NodeCall): Result {
  if (x.dtype === "f32" || y.dtype !== "f32") return power(x, cast(y, x.dtype));
  return call.typed(call.value(0).type, cast(power(cast(x, "f32"), y), x.dtype));
}

/** x within bounds of which each may be missing; the upper one holds where the lower is above it. */
function bounded(x: Tensor, low: Tensor | number | undefined, high: Tensor | number | undefined): Tensor {
  if (low !== undefined && high !== undefined) return clamp(x, low, high);
  if (low !== undefined) return maximum(x, low);
  return high === undefined ? x : minimum(x, high);
}

/** What ONNX takes for no bound where an attribute is missing: the largest f32. */
const boundAttributes = { min: float, max: float, consumed_inputs: unused };

export const arithmetic: OperatorTable = {
  Abs: ofOne(absolute),
  Neg: ofOne(negate),
  Sign: ofOne(sign, 9),
  Reciprocal: ofOne(reciprocal),
  Floor: ofOne(floor),
  Ceil: ofOne(ceil),
  Round: ofOne(round, 11),
  Sqrt: ofOne(sqrt),
  Exp: ofOne(exp),
  Log: ofOne(log),
  Sin: ofOne(sin, 7),
  Cos: ofOne(cos, 7),
  Tan: ofOne(tan, 7),
  Asin: ofOne(asin, 7),
  Acos: ofOne(acos, 7),
  Atan: ofOne(atan, 7),
  Erf: ofOne(erf, 9),
  Sinh: ofOne(sinh, 9),
  Cosh: ofOne(cosh, 9),
  Tanh: ofOne(tanh),
  Asinh: ofOne(asinh, 9),
  Acosh: ofOne(acosh, 9),
  Atanh: ofOne(atanh, 9),
  Add: ofTwo(add, { wraps: true }),
  Sub: ofTwo(subtract, { wraps: true }),
  Mul: ofTwo(multiply, { wraps: true }),
  Div: ofTwo((x, y) => (x.dtype === "f32" ? divide(x, y) : truncateDivide(x, y)), { wraps: true }),
  Pow: ofTwo(raise, { wraps: true }),
  Mod: operator({
    since: 10,
    wraps: true,
    attributes: { fmod: flag(false) },
    build: (call, { fmod: hasSignOfFirst }) => {
      const [x, y] = [call.tensor(0), call.tensor(1)];
      if (x.dtype === "f32" && !hasSignOfFirst) throw call.error("dtype", "floats need fmod = 1.");
      return hasSignOfFirst ? fmod(x, y) : remainder(x, y);
    },
  }),
  BitShift: operator({
    since: 11,
    wraps: true,
    attributes: { direction: oneOf(["LEFT", "RIGHT"]).required },
    build: (call, { direction }) => (direction === "LEFT" ? shiftLeft : shiftRight)(call.tensor(0), call.tensor(1)),
  }),
  Max: ofMany((all) => all.reduce(maximum)),
  Min: ofMany((all) => all.reduce(minimum)),
  Sum: ofMany((all) => all.reduce(add)),
  Mean: ofMany((all) => divide(all.reduce(add), all.length)),
  Clip: [
    operator({ attributes: boundAttributes, build: (call, { min, max }) => bounded(call.tensor(0), min, max) }),
    operator({
      since: 11,
      build: (call) => bounded(call.tensor(0), call.optionalTensor(1), call.optionalTensor(2)),
    }),
  ],
};
