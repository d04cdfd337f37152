/** Values freed of their mean and scale. */
import {
  absolute,
  add,
  divide,
  mean,
  multiply,
  norm,
  pad,
  power,
  reduceSum,
  reshape,
  rsqrt,
  slice,
  sqrt,
  square,
  standardDeviation,
  subtract,
  type Tensor,
  variance,
} from "../../engine/index.ts";
import { flag, float, integer, integers, unused } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { axisOf, besideChannels, entry, upTo } from "./axes.ts";

const epsilonAttribute = { epsilon: float.or(1e-5) };

/** (x - mean) / sqrt(variance + epsilon) over axes, and what it was made of. */
function standardized(x: Tensor, axes: readonly number[], epsilon: number) {
  const middle = mean(x, { axes, keepAxes: true });
  const spread = variance(x, { axes, keepAxes: true });
  const inverse = rsqrt(add(spread, epsilon));
  return { y: multiply(subtract(x, middle), inverse), middle, spread, inverse };
}

const byChannel = (vector: Tensor, rank: number): Tensor => reshape(vector, besideChannels(vector.size, rank));

/** Axes behind [N, C]. */
const spatialAxes = (rank: number): number[] => upTo(rank).slice(2);

/** By running statistics, or by those of the batch, which then move the running ones. */
function batchNormalization(call: NodeCall, epsilon: number, momentum: number, isTraining: boolean) {
  const x = call.tensor(0);
  const wide = (i: number): Tensor => byChannel(call.tensor(i), x.rank);
  const scaled = (y: Tensor): Tensor => add(multiply(y, wide(1)), wide(2));
  if (!isTraining) return scaled(divide(subtract(x, wide(3)), sqrt(add(wide(4), epsilon))));
  const { y, middle, spread } = standardized(x, [0, ...spatialAxes(x.rank)], epsilon);
  const moved = (i: number, now: Tensor): Tensor => {
    const old = call.tensor(i);
    return add(multiply(old, momentum), multiply(reshape(now, old.shape), 1 - momentum));
  };
  return [scaled(y), moved(3, middle), moved(4, spread)];
}

/** x divided by a power of the squares of its neighbours among the channels. */
function localResponse(call: NodeCall, size: number, alpha: number, beta: number, bias: number): Tensor {
  const x = call.tensor(0);
  const channels = entry(call, x.shape, 1);
  const sides = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)] as const;
  const squares = pad(
    square(x),
    x.shape.map((_, axis) => (axis === 1 ? sides : ([0, 0] as const))),
  );
  const sums = upTo(size)
    .map((i) => slice(squares, [null, [i, i + channels]]))
    .reduce(add);
  return divide(x, power(add(bias, multiply(sums, alpha / size)), beta));
}

const normalizedBy = (x: Tensor, order: 1 | 2, axis: number): Tensor =>
  divide(
    x,
    order === 1 ? reduceSum(absolute(x), { axes: axis, keepAxes: true }) : norm(x, { axes: axis, keepAxes: true }),
  );

/** Each group of channels by itself. @param scale by group or by channel */
function groupNormalization(call: NodeCall, groups: number, epsilon: number, isByChannel: boolean): Tensor {
  const x = call.tensor(0);
  const [n, c] = [entry(call, x.shape, 0), entry(call, x.shape, 1)];
  const apart = reshape(x, [n, groups, c / groups, ...x.shape.slice(2)]);
  const { y } = standardized(apart, upTo(apart.rank).slice(2), epsilon);
  const [scale, bias] = [call.tensor(1), call.tensor(2)];
  if (isByChannel) return add(multiply(reshape(y, x.shape), byChannel(scale, x.rank)), byChannel(bias, x.rank));
  return reshape(add(multiply(y, byChannel(scale, apart.rank)), byChannel(bias, apart.rank)), x.shape);
}

const stash = { stash_type: integer };

export const normalizations: OperatorTable = {
  BatchNormalization: [
    operator({
      attributes: {
        ...epsilonAttribute,
        momentum: float.or(0.9),
        is_test: flag(false),
        spatial: flag(true),
        consumed_inputs: unused,
      },
      build: (call, { epsilon, momentum, is_test: isTest, spatial }) => {
        if (!spatial) throw call.error("value", "spatial = 0 (statistics of each pixel) is not known.");
        return batchNormalization(call, epsilon, momentum, !isTest);
      },
    }),
    operator({
      since: 7,
      attributes: { ...epsilonAttribute, momentum: float.or(0.9), spatial: flag(true) },
      build: (call, { epsilon, momentum, spatial }) => {
        if (!spatial) throw call.error("value", "spatial = 0 (statistics of each pixel) is not known.");
        return batchNormalization(call, epsilon, momentum, call.wants(1));
      },
    }),
    operator({
      since: 9,
      attributes: { ...epsilonAttribute, momentum: float.or(0.9) },
      build: (call, { epsilon, momentum }) => batchNormalization(call, epsilon, momentum, call.wants(1)),
    }),
    operator({
      since: 14,
      attributes: { ...epsilonAttribute, momentum: float.or(0.9), training_mode: flag(false) },
      build: (call, { epsilon, momentum, training_mode: isTraining }) =>
        batchNormalization(call, epsilon, momentum, isTraining),
    }),
  ],
  InstanceNormalization: operator({
    attributes: { ...epsilonAttribute, consumed_inputs: unused },
    build: (call, { epsilon }) => {
      const x = call.tensor(0);
      const { y } = standardized(x, spatialAxes(x.rank), epsilon);
      return add(multiply(y, byChannel(call.tensor(1), x.rank)), byChannel(call.tensor(2), x.rank));
    },
  }),
  LayerNormalization: operator({
    since: 17,
    attributes: { axis: integer.or(-1), ...epsilonAttribute, ...stash },
    build: (call, { axis, epsilon }) => {
      const x = call.tensor(0);
      const { y, middle, inverse } = standardized(x, upTo(x.rank).slice(axisOf(call, axis, x.rank)), epsilon);
      const scaled = multiply(y, call.tensor(1));
      return [call.has(2) ? add(scaled, call.tensor(2)) : scaled, middle, inverse];
    },
  }),
  GroupNormalization: [
    operator({
      since: 18,
      attributes: { num_groups: integer.required, ...epsilonAttribute },
      build: (call, { num_groups: groups, epsilon }) => groupNormalization(call, groups, epsilon, false),
    }),
    operator({
      since: 21,
      attributes: { num_groups: integer.required, ...epsilonAttribute, ...stash },
      build: (call, { num_groups: groups, epsilon }) => groupNormalization(call, groups, epsilon, true),
    }),
  ],
  MeanVarianceNormalization: operator({
    since: 9,
    attributes: { axes: integers },
    build: (call, { axes = [0, 2, 3] }) => {
      const x = call.tensor(0);
      const spread = add(standardDeviation(x, { axes, keepAxes: true }), 1e-9);
      return divide(subtract(x, mean(x, { axes, keepAxes: true })), spread);
    },
  }),
  LpNormalization: operator({
    attributes: { axis: integer.or(-1), p: integer.or(2) },
    build: (call, { axis, p }) => {
      if (p !== 1 && p !== 2) throw call.error("value", `p is ${p}, expected 1 or 2.`);
      return normalizedBy(call.tensor(0), p, axis);
    },
  }),
  LRN: operator({
    attributes: { size: integer.required, alpha: float.or(1e-4), beta: float.or(0.75), bias: float.or(1) },
    build: (call, { size, alpha, beta, bias }) => localResponse(call, size, alpha, beta, bias),
  }),
};
