/** Losses of classifiers. */
import {
  cast,
  divide,
  equal,
  expandDims,
  gather,
  logSoftmax,
  multiply,
  negate,
  ones,
  reduceSum,
  squeeze,
  takeAlongAxis,
  type Tensor,
  where,
} from "../../engine/index.ts";
import { integer, oneOf } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";

type LossAttributes = {
  readonly reduction: "none" | "sum" | "mean";
  readonly ignore_index: number | undefined;
};

/** -weight[target] * logs[target] of logs [N, C, ...] and targets [N, ...]; means are weighted, too. */
function negativeLogLikelihood(
  call: NodeCall,
  logs: Tensor,
  { reduction, ignore_index: ignored }: LossAttributes,
): Tensor {
  const given = cast(call.tensor(1), "i32");
  const isIgnored = ignored === undefined ? undefined : equal(given, ignored);
  // What is ignored may be no class at all.
  const target = isIgnored === undefined ? given : where(isIgnored, 0, given);
  const picked = squeeze(takeAlongAxis(logs, expandDims(target, 1), 1), 1);
  const ofClass = call.has(2) ? gather(call.tensor(2), target) : ones(target.shape);
  const weight = isIgnored === undefined ? ofClass : where(isIgnored, 0, ofClass);
  const loss = multiply(negate(picked), weight);
  switch (reduction) {
    case "none":
      return loss;
    case "sum":
      return reduceSum(loss);
    case "mean":
      return divide(reduceSum(loss), reduceSum(weight));
  }
}

const attributes = { reduction: oneOf(["none", "sum", "mean"]).or("mean"), ignore_index: integer };

export const losses: OperatorTable = {
  NegativeLogLikelihoodLoss: operator({
    since: 12,
    attributes,
    build: (call, given) => negativeLogLikelihood(call, call.tensor(0), given),
  }),
  SoftmaxCrossEntropyLoss: operator({
    since: 12,
    attributes,
    build: (call, given) => {
      const logs = logSoftmax(call.tensor(0), 1);
      return [negativeLogLikelihood(call, logs, given), logs];
    },
  }),
};
