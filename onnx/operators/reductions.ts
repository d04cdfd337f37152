/** Operators that fold axes, or look along one. */
import {
  absolute,
  argmax,
  argmin,
  cast,
  cumulativeSum,
  equal,
  flip,
  iota,
  log,
  logSoftmax,
  logSumExp,
  mean,
  norm,
  product,
  reduceMax,
  reduceMin,
  type ReduceOptions,
  reduceSum,
  reshape,
  softmax,
  square,
  subtract,
  type Tensor,
  topK,
} from "../../engine/index.ts";
import { flag, integer, integers } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { type Operator, operator, type OperatorTable } from "../build/operator.ts";
import { axisOf, entry, sizeOf } from "./axes.ts";

type Reduce = (x: Tensor, options: ReduceOptions) => Tensor;

/** A reduction whose axes are an attribute up to an opset, and an input from there on. */
const reduction = (build: Reduce, inputSince = 18): readonly Operator[] => [
  operator({
    wraps: true,
    attributes: { axes: integers, keepdims: flag(true) },
    build: (call, { axes, keepdims }) =>
      build(call.tensor(0), { axes: axes?.length === 0 ? undefined : axes, keepAxes: keepdims }),
  }),
  operator({
    since: inputSince,
    wraps: true,
    numbers: [1],
    attributes: { keepdims: flag(true), noop_with_empty_axes: flag(false) },
    build: (call, { keepdims, noop_with_empty_axes: isNothing }) => {
      const given = call.optionalNumbers(1) ?? [];
      if (given.length === 0 && isNothing) return call.tensor(0);
      return build(call.tensor(0), { axes: given.length === 0 ? undefined : given, keepAxes: keepdims });
    },
  }),
];

type Pick = (x: Tensor, axis: number, keepAxes: boolean) => Tensor;

const placeOf = (pick: Pick): readonly Operator[] => [
  operator({
    attributes: { axis: integer.or(0), keepdims: flag(true) },
    build: (call, { axis, keepdims }) => call.typed("i64", pick(call.tensor(0), axis, keepdims)),
  }),
  operator({
    since: 12,
    attributes: { axis: integer.or(0), keepdims: flag(true), select_last_index: flag(false) },
    build: (call, { axis, keepdims, select_last_index: isLast }) => {
      const x = call.tensor(0);
      if (!isLast) return call.typed("i64", pick(x, axis, keepdims));
      const along = axisOf(call, axis, x.rank);
      return call.typed("i64", subtract(entry(call, x.shape, along) - 1, pick(flip(x, along), along, keepdims)));
    },
  }),
];

/** A function along an axis; before opset 13 all axes from `axis` on are one. */
const alongAxis = (build: (x: Tensor, axis: number) => Tensor): readonly Operator[] => [
  operator({
    attributes: { axis: integer.or(1) },
    build: (call, { axis }) => {
      const x = call.tensor(0);
      const place = axis === x.rank ? axis : axisOf(call, axis, x.rank);
      const flat = [sizeOf(x.shape.slice(0, place)), sizeOf(x.shape.slice(place))];
      return reshape(build(reshape(x, flat), 1), x.shape);
    },
  }),
  operator({
    since: 13,
    attributes: { axis: integer.or(-1) },
    build: (call, { axis }) => build(call.tensor(0), axisOf(call, axis, call.tensor(0).rank)),
  }),
];

/** 1 at the first largest element along an axis, 0 elsewhere. */
const hardmax = (x: Tensor, axis: number): Tensor => cast(equal(argmax(x, axis, true), iota(x.shape, axis)), x.dtype);

function largest(call: NodeCall, k: number, axis: number, isLargest: boolean) {
  const x = call.tensor(0);
  const { values, indices } = topK(x, k, { axis: axisOf(call, axis, x.rank), largest: isLargest });
  return [values, call.typed("i64", indices)];
}

export const reductions: OperatorTable = {
  ReduceSum: reduction(reduceSum, 13),
  ReduceMean: reduction(mean),
  ReduceMax: reduction(reduceMax),
  ReduceMin: reduction(reduceMin),
  ReduceProd: reduction(product),
  ReduceL1: reduction((x, options) => reduceSum(absolute(x), options)),
  ReduceL2: reduction(norm),
  ReduceLogSum: reduction((x, options) => log(reduceSum(x, options))),
  ReduceLogSumExp: reduction(logSumExp),
  ReduceSumSquare: reduction((x, options) => reduceSum(square(x), options)),
  ArgMax: placeOf(argmax),
  ArgMin: placeOf(argmin),
  Softmax: alongAxis(softmax),
  LogSoftmax: alongAxis(logSoftmax),
  Hardmax: alongAxis(hardmax),
  CumSum: operator({
    since: 11,
    numbers: [1],
    wraps: true,
    attributes: { exclusive: flag(false), reverse: flag(false) },
    build: (call, { exclusive, reverse }) => {
      const x = call.tensor(0);
      return cumulativeSum(x, axisOf(call, call.number(1), x.rank), { exclusive, reverse });
    },
  }),
  TopK: [
    operator({
      attributes: { axis: integer.or(-1), k: integer.required },
      build: (call, { axis, k }) => largest(call, k, axis, true),
    }),
    operator({
      since: 10,
      numbers: [1],
      attributes: { axis: integer.or(-1) },
      build: (call, { axis }) => largest(call, call.number(1), axis, true),
    }),
    operator({
      since: 11,
      numbers: [1],
      // Sorted results are right where any order is.
      attributes: { axis: integer.or(-1), largest: flag(true), sorted: flag(true) },
      build: (call, { axis, largest: isLargest }) => largest(call, call.number(1), axis, isLargest),
    }),
  ],
};
