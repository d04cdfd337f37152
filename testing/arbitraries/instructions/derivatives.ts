/** Instructions that differentiate, forwards and backwards, and what derivatives treat apart, for random programs. */
import { makeNode } from "../../../engine/graph/graph.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  absolute,
  add,
  broadcastTo,
  checkpoint,
  clamp,
  cumulativeProduct,
  cumulativeSum,
  divide,
  floor,
  jvp,
  less,
  log,
  logSoftmax,
  logSumExp,
  maximum,
  maxPool,
  minimum,
  multiply,
  norm,
  power,
  product,
  reduceMax,
  reduceMin,
  relu,
  rootMeanSquare,
  scalar,
  scan,
  scatterAlongAxis,
  softmax,
  sort,
  sqrt,
  standardDeviation,
  takeAlongAxis,
  tanh,
  Tensor,
  vjp,
  where,
  withDerivativeOf,
} from "../../../engine/index.ts";
import { composedDifferentiated } from "../composedOperations.ts";
import {
  axisOf,
  beside,
  choose,
  type Context,
  firstElement,
  type Instructions,
  lifted,
  ofShape,
  someIndex,
} from "./operands.ts";

/** Functions of x (and of y, which broadcasts with it) whose derivatives have kinks, poles or scales of their own. */
const differentiated: readonly ((x: Tensor, y: Tensor, axes: number) => Tensor)[] = [
  relu,
  absolute,
  (x) => clamp(x, -1, 1),
  (x, y) => clamp(x, y, 2),
  (x, y) => clamp(y, -1, x),
  maximum,
  minimum,
  (x, y) => where(less(x, y), y, x),
  (x) => sqrt(relu(x)),
  (x) => log(maximum(x, 0)),
  divide,
  ...composedDifferentiated,
  (x, y) => power(x, clamp(floor(y), -2, 3)),
  (x, y) => power(y, clamp(x, -2, 3)),
  (x, _, axes) => reduceMax(x, { axes }),
  (x, _, axes) => reduceMin(x, { axes, keepAxes: true }),
  (x, _, axes) => norm(x, { axes }),
  (x, _, axes) => rootMeanSquare(x, { axes, keepAxes: true }),
  (x, _, axes) => standardDeviation(x, { axes }),
  (x, _, axes) => logSumExp(x, { axes }),
  (x, _, axis) => softmax(x, axis),
  (x, _, axis) => logSoftmax(x, axis),
  (x, _, axis) => cumulativeSum(x, axis, { reverse: true }),
  (x, _, axis) => cumulativeProduct(x, axis),
  (x, _, axes) => product(x, { axes }),
  (x, _, axis) => sort(x, { axis }),
  (x, _, axis) => takeAlongAxis(x, someIndex(x, scalar(3, "i32"), axis), axis),
  (x, y, axis) =>
    scatterAlongAxis(x, someIndex(x, scalar(1, "i32"), axis), broadcastTo(firstElement(y), x.shape), axis, "max"),
  (x) => maxPool(x, { size: [Math.min(2, at(x.shape, x.rank - 1))], stride: [1] }),
  (x) => maxPool(x, { size: [Math.min(2, at(x.shape, x.rank - 1))] }),
];

/** Derivatives of one function, checkpoints, loops, and derivatives that are stopped or replaced. */
export const derivatives: Instructions = {
  derivative: ({ of, choices: [c, d] }) => {
    const differentiable = differentiableOf(of, c, d);
    if (differentiable === undefined) return undefined;
    const { f, x } = differentiable;
    const { value, pullback } = vjp(d % 3 === 0 ? checkpoint(f) : f, x);
    return pullback(ofShape(of(2, "f32"), value.shape));
  },
  tangent: ({ of, choices: [c, d] }) => {
    const differentiable = differentiableOf(of, c, d);
    if (differentiable === undefined) return undefined;
    const { f, x } = differentiable;
    return jvp(f)(x, ofShape(of(2, "f32"), x.shape)).tangent;
  },
  checkpoint: ({ of, choices: [c, d] }) => {
    const differentiable = differentiableOf(of, c, d);
    return differentiable && checkpoint(differentiable.f)(differentiable.x);
  },
  // A program with a loop is several: in one of two cases.
  scan: ({ of, choices: [c, d] }) => {
    const x = lifted(of(0, "f32"));
    if (x.size === 0 || c % 2 > 0) return undefined;
    const k = firstElement(of(2, "f32"));
    const bodies: readonly ((h: Tensor, row: Tensor) => Tensor)[] = [
      add,
      maximum,
      (h, row) => tanh(add(multiply(h, k), row)),
      (h, row) => where(less(h, row), multiply(row, k), h),
    ];
    const body = (h: Tensor, row: Tensor) => ({ carry: choose(bodies, c >> 1)(h, row), y: multiply(h, row) });
    const init = broadcastTo(firstElement(of(1, "f32")), x.shape.slice(1));
    const { carry, ys } = scan(body, init, x, { reverse: d % 2 === 1 });
    return d % 3 === 0 ? carry : ys;
  },
  stop: ({ any }) => new Tensor(makeNode("stopGradient", [any(0).node], {})),
  surrogate: ({ of }) => withDerivativeOf(of(0, "f32"), ofShape(of(1, "f32"), of(0, "f32").shape)),
};

/** A function that has a derivative, and where. */
function differentiableOf(
  of: Context["of"],
  c: number,
  d: number,
): { readonly f: (x: Tensor) => Tensor; readonly x: Tensor } | undefined {
  const x = lifted(of(0, "f32"));
  const y = beside(x, of(1, "f32"));
  if (x.size === 0 || y.size === 0) return undefined;
  return { f: (z) => choose(differentiated, c)(z, y, axisOf(x, d)), x };
}
