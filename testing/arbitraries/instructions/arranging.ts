/** Instructions that reduce along axes and that arrange elements anew, for random programs. */
import { at } from "../../../engine/graph/shape.ts";
import {
  argmax,
  argmin,
  broadcastTo,
  concat,
  flip,
  logSumExp,
  mean,
  pad,
  permute,
  reduceMax,
  reduceMin,
  reduceSum,
  reshape,
  slice,
  softmax,
  type Tensor,
  transpose,
} from "../../../engine/index.ts";
import { axisOf, choose, type Instructions, lifted, numeric, toDtype } from "./operands.ts";

/** Sums, extremes and means along axes, and what is made of these. */
export const reductions: Instructions = {
  reduce: ({ any, choices: [c, d] }) => {
    const x = numeric(lifted(any(0)));
    const axes = x.shape.flatMap((_, axis) => ((d >> axis) % 2 === 1 ? [axis] : []));
    const nonEmpty = axes.every((axis) => x.shape[axis] !== 0);
    return choose(nonEmpty ? [reduceSum, reduceMax, reduceMin] : [reduceSum], c)(x, { axes, keepAxes: d % 3 === 0 });
  },
  mean: ({ of, choices: [c] }) => mean(lifted(of(0, "f32")), { axes: axisOf(lifted(of(0, "f32")), c) }),
  softmax: ({ of, choices: [c, d] }) => {
    const x = lifted(of(0, "f32"));
    if (x.size === 0) return undefined;
    return d % 2 === 0 ? softmax(x, axisOf(x, c)) : logSumExp(x, { axes: axisOf(x, c) });
  },
  argmax: ({ any, choices: [c] }) => {
    const x = numeric(lifted(any(0)));
    return x.size === 0 ? undefined : choose([argmax, argmin], c)(x, axisOf(x, c));
  },
};

/** New shapes, orders, ranges and borders. */
export const arrangements: Instructions = {
  reshape: ({ any, choices: [c] }) => {
    const x = any(0);
    const divisors = Array.from({ length: 12 }, (_, i) => i + 1).filter((n) => x.size % n === 0);
    const rows = choose(divisors, c);
    return x.size === 0 ? reshape(x, [0]) : reshape(x, c % 3 === 0 ? [rows, 1, x.size / rows] : [x.size / rows, rows]);
  },
  permute: ({ any, choices: [c] }) => {
    const x = any(0);
    const order = x.shape.map((_, axis) => (axis + c) % Math.max(1, x.rank));
    return permute(x, c % 2 === 0 ? order : order.reverse());
  },
  transpose: ({ any }) => (any(0).rank < 2 ? undefined : transpose(any(0))),
  expand: ({ any, choices: [c, d] }) => {
    const x = any(0);
    return broadcastTo(
      x,
      c % 2 === 0 ? [(d % 4) + 1, ...x.shape] : x.shape.map((size) => (size === 1 ? (d % 5) + 1 : size)),
    );
  },
  slice: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    const axis = axisOf(x, c);
    const size = at(x.shape, axis);
    const start = size === 0 ? 0 : d % size;
    const range =
      c % 3 === 0 ? [start, size, (d % 3) + 1] : c % 3 === 1 ? [start, undefined, -((d % 2) + 1)] : [0, start];
    return size === 0
      ? undefined
      : slice(
          x,
          x.shape.map((_, a) => (a === axis ? (range as [number, number, number?]) : null)),
        );
  },
  flip: ({ any, choices: [c] }) => flip(lifted(any(0)), axisOf(lifted(any(0)), c)),
  pad: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    return pad(
      x,
      x.shape.map((_, axis) => [(c >> axis) % 3, (d >> axis) % 3] as const),
      d % 2,
    );
  },
  concat: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    const y = toDtype(any(1), x.dtype);
    const other =
      y.rank === x.rank && y.shape.every((size, axis) => axis === axisOf(x, c) || size === x.shape[axis]) ? y : x;
    return concat([...new Array<Tensor>((d % 8) + 1).fill(x), other], axisOf(x, c));
  },
};
