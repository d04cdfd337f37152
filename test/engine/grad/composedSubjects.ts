/** Differentiable uses of element-wise operations, most of which are composed of others; each on ranges where it is smooth. */
import { type Tensor, tensor } from "../../../engine/index.ts";
import * as ops from "../../../engine/ops/index.ts";
import { between, type Differentiable, on } from "../../../testing/laws/derivatives.ts";

/** An operation with a kink at 0, on both sides of it. */
const signs = (name: string, fn: (x: Tensor) => Tensor, low = 0.2, high = 2): [string, Differentiable][] => [
  [name, between(low, high, on(fn, [2, 3]))],
  [`${name} of negatives`, between(-high, -low, on(fn, [2, 3]))],
];

export const composedSubjects: readonly (readonly [string, Differentiable])[] = [
  ["atan", on((x) => ops.atan(x), [2, 3])],
  ["erf", on((x) => ops.erf(x), [2, 3])],
  ["gelu", on((x) => ops.gelu(x), [2, 3])],
  ["gelu by tanh", on((x) => ops.gelu(x, { approximate: "tanh" }), [2, 3])],
  ["softplus", on((x) => ops.softplus(x, 2), [2, 3])],
  ...signs("leakyRelu", (x) => ops.leakyRelu(x, 0.3)),
  [
    "leakyRelu of a tensor's slope",
    between(
      -2,
      -0.2,
      on((x, y) => ops.leakyRelu(x, y), [2, 3], [3]),
    ),
  ],
  ...signs("elu", (x) => ops.elu(x, 0.7)),
  [
    "ceil",
    between(
      0.2,
      0.8,
      on((x) => ops.ceil(x), [2, 3]),
    ),
  ],
  [
    "trunc",
    between(
      -0.8,
      -0.2,
      on((x) => ops.trunc(x), [2, 3]),
    ),
  ],
  [
    "round",
    between(
      0.6,
      1.4,
      on((x) => ops.round(x), [2, 3]),
    ),
  ],
  [
    "tan",
    between(
      -1,
      1,
      on((x) => ops.tan(x), [2, 3]),
    ),
  ],
  [
    "asin",
    between(
      -0.65,
      0.65,
      on((x) => ops.asin(x), [2, 3]),
    ),
  ],
  [
    "asin near 1",
    between(
      0.74,
      0.75,
      on((x) => ops.asin(x), [2, 3]),
    ),
  ],
  [
    "asin near -1",
    between(
      -0.75,
      -0.74,
      on((x) => ops.asin(x), [2, 3]),
    ),
  ],
  ...signs("acos", (x) => ops.acos(x), 0.1, 0.6),
  [
    "atan2",
    between(
      0.6,
      1,
      on((y, x) => ops.atan2(y, ops.multiply(x, tensor([3, -3, 0.3]))), [2, 3], [3]),
    ),
  ],
  [
    "atan2 below",
    between(
      -1,
      -0.6,
      on((y, x) => ops.atan2(y, ops.multiply(x, tensor([3, -3, 0.3]))), [2, 3], [3]),
    ),
  ],
  ["sinh", on((x) => ops.sinh(x), [2, 3])],
  ["cosh", on((x) => ops.cosh(x), [2, 3])],
  ...signs("asinh", (x) => ops.asinh(x)),
  [
    "asinh of large numbers",
    between(
      9000,
      9001,
      on((x) => ops.asinh(x), [2, 3]),
    ),
  ],
  [
    "acosh",
    between(
      1.5,
      3,
      on((x) => ops.acosh(x), [2, 3]),
    ),
  ],
  [
    "atanh",
    between(
      -0.6,
      0.6,
      on((x) => ops.atanh(x), [2, 3]),
    ),
  ],
  ["exp2", on((x) => ops.exp2(x), [2, 3])],
  [
    "log2",
    between(
      0.6,
      3,
      on((x) => ops.log2(x), [2, 3]),
    ),
  ],
  // Quotients from 3.05 to 3.95, and none beyond in any difference.
  [
    "fmod",
    between(
      0.7,
      0.8,
      on((x, y) => ops.fmod(ops.multiply(x, tensor([22, -22])), ops.add(y, 4)), [3, 2], [2]),
    ),
  ],
  [
    "remainder",
    between(
      0.7,
      0.8,
      on((x, y) => ops.remainder(ops.multiply(x, tensor([22, -22])), ops.add(y, 4)), [3, 2], [2]),
    ),
  ],
  [
    "floorDivide",
    between(
      1.2,
      1.6,
      on((x) => ops.floorDivide(x, 1), [2, 3]),
    ),
  ],
  [
    "truncateDivide",
    between(
      1.2,
      1.6,
      on((x) => ops.truncateDivide(x, 1), [2, 3]),
    ),
  ],
];
