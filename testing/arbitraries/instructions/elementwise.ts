/** Instructions that compute element by element, for random programs. */
import {
  absolute,
  add,
  and,
  atan,
  atan2,
  cast,
  clamp,
  cos,
  divide,
  equal,
  erf,
  exp,
  expm1,
  floor,
  isFinite,
  isNaN,
  less,
  lessEqual,
  log,
  log1p,
  maximum,
  minimum,
  multiply,
  negate,
  not,
  notEqual,
  or,
  power,
  roundToFloat16,
  scalar,
  shiftLeft,
  shiftRight,
  sigmoid,
  sign,
  silu,
  sin,
  sqrt,
  subtract,
  tanh,
  threefry,
  where,
  xor,
} from "../../../engine/index.ts";
import { composedUnaries, divisions } from "../composedOperations.ts";
import { beside, choose, type Instructions, toDtype } from "./operands.ts";

const unaries = [
  absolute,
  negate,
  sign,
  floor,
  exp,
  expm1,
  log,
  log1p,
  sqrt,
  sin,
  cos,
  tanh,
  sigmoid,
  silu,
  roundToFloat16,
  atan,
  erf,
];
const arithmetic = [add, subtract, multiply, maximum, minimum];
const comparisons = [less, lessEqual, equal, notEqual];
const bitwise = [and, or, xor];

/** Of one, two and three operands that broadcast: numbers, integers, bits and booleans. */
export const elementwise: Instructions = {
  unary: ({ of, choices: [c] }) => choose(unaries, c)(of(0, "f32")),
  composedUnary: ({ of, choices: [c] }) => choose(composedUnaries, c)(of(0, "f32")),
  integerUnary: ({ of, choices: [c, d] }) =>
    choose([negate, absolute, sign, not], c)(of(0, choose(["i32", "u32"] as const, d))),
  arithmetic: ({ of, choices: [c] }) => {
    const x = of(0, "f32");
    return choose(arithmetic, c)(x, beside(x, of(1, "f32")));
  },
  integerArithmetic: ({ of, choices: [c, d] }) => {
    const dtype = choose(["i32", "u32"] as const, d);
    const x = of(0, dtype);
    return choose([...arithmetic, ...bitwise], c)(x, beside(x, of(1, dtype)));
  },
  divide: ({ of }) => divide(of(0, "f32"), beside(of(0, "f32"), of(1, "f32"))),
  wholeDivision: ({ of, choices: [c, d] }) => {
    const dtype = choose(["f32", "i32", "u32"] as const, d);
    const x = of(0, dtype);
    return choose(divisions, c)(x, beside(x, of(1, dtype)));
  },
  integerPower: ({ of, choices: [c, d] }) => power(of(0, choose(["i32", "u32"] as const, d)), c % 9),
  angle: ({ of }) => atan2(of(0, "f32"), beside(of(0, "f32"), of(1, "f32"))),
  power: ({ of }) => power(absolute(of(0, "f32")), beside(of(0, "f32"), clamp(of(1, "f32"), -4, 4))),
  wholePower: ({ of, choices: [c] }) => power(of(0, "f32"), (c % 7) - 3),
  withNumber: ({ of, choices: [c, d] }) => choose(arithmetic, c)(of(0, "f32"), choose([0, 1, -1, 2, 0.1, -0, 1e-3], d)),
  compare: ({ any, choices: [c] }) => {
    const x = any(0).dtype === "bool" ? cast(any(0), "u32") : any(0);
    return choose(comparisons, c)(x, beside(x, toDtype(any(1), x.dtype)));
  },
  logic: ({ of, choices: [c] }) => choose(bitwise, c)(of(0, "bool"), beside(of(0, "bool"), of(1, "bool"))),
  test: ({ of, choices: [c] }) => choose([isFinite, isNaN], c)(of(0, "f32")),
  select: ({ any, of }) => {
    const x = any(1);
    const y = beside(x, toDtype(any(2), x.dtype));
    return where(beside(add(cast(x, "u32"), cast(y, "u32")), of(0, "bool")), x, y);
  },
  cast: ({ any, choices: [c] }) => toDtype(any(0), choose(["f32", "i32", "u32", "bool"] as const, c)),
  shift: ({ of, choices: [c, d] }) =>
    choose([shiftLeft, shiftRight], c)(of(0, choose(["i32", "u32"] as const, c >> 1)), d % 32),
  shiftByTensor: ({ of, choices: [c, d] }) => {
    const x = of(0, choose(["i32", "u32"] as const, c >> 1));
    return choose([shiftLeft, shiftRight], c)(x, beside(x, of(1, choose(["i32", "u32"] as const, d))));
  },
  threefry: ({ of, choices: [c] }) => {
    const counter = of(0, "u32");
    const key = beside(counter, of(1, "u32"));
    return threefry(c % 2 === 0 ? 0 : 1, [key, key], [counter, scalar(c, "u32")]);
  },
};
