/** Functions of one value that networks put between layers. */
import {
  add,
  divide,
  elu,
  gelu,
  greater,
  leakyRelu,
  less,
  multiply,
  ones,
  relu,
  reshape,
  sigmoid,
  softplus,
  subtract,
  tanh,
  type Tensor,
  where,
} from "../../engine/index.ts";
import { flag, float, integer, oneOf, unused } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { besideChannels } from "./axes.ts";
import { hardSigmoid, softsign } from "./softSteps.ts";

const consumed = { consumed_inputs: unused };
const withAlpha = (assumed: number) => ({ alpha: float.or(assumed), ...consumed });

const selu = (x: Tensor, alpha: number, gamma: number): Tensor => multiply(elu(x, alpha), gamma);
/** Of whole numbers, too. */
const slopeBelow = (x: Tensor, slope: Tensor): Tensor =>
  x.dtype === "f32" ? leakyRelu(x, slope) : where(less(x, 0), multiply(x, slope), x);

/** A training mode would draw random numbers. The mask is of x's type before version 10, and bool since. */
function dropout(call: NodeCall, isTraining: boolean, ratio: number, hasTypedMask = false): readonly Result[] {
  const x = call.tensor(0);
  if (isTraining && ratio !== 0) {
    throw call.error("value", "drops at random, in training mode. Export the model for evaluation.");
  }
  const mask = hasTypedMask ? call.typed(call.value(0).type, ones(x.shape, x.dtype)) : ones(x.shape, "bool");
  return [call.value(0), mask];
}

export const activations: OperatorTable = {
  Relu: operator({ attributes: consumed, build: (call) => relu(call.tensor(0)) }),
  Sigmoid: operator({ attributes: consumed, build: (call) => sigmoid(call.tensor(0)) }),
  Softplus: operator({ build: (call) => softplus(call.tensor(0)) }),
  Softsign: operator({ build: (call) => softsign(call.tensor(0)) }),
  Elu: operator({ attributes: withAlpha(1), build: (call, { alpha }) => elu(call.tensor(0), alpha) }),
  Selu: [
    operator({
      attributes: { alpha: float.or(1.6732), gamma: float.or(1.0507), ...consumed },
      build: (call, { alpha, gamma }) => selu(call.tensor(0), alpha, gamma),
    }),
    operator({
      since: 6,
      attributes: { alpha: float.or(1.67326319217681884765625), gamma: float.or(1.05070102214813232421875) },
      build: (call, { alpha, gamma }) => selu(call.tensor(0), alpha, gamma),
    }),
  ],
  Celu: operator({
    since: 12,
    attributes: { alpha: float.or(1) },
    // Elu's derivative at 0 is that of its left side, as PyTorch has it for both.
    build: (call, { alpha }) => multiply(elu(divide(call.tensor(0), alpha)), alpha),
  }),
  LeakyRelu: operator({
    attributes: withAlpha(0.01),
    build: (call, { alpha }) => leakyRelu(call.tensor(0), alpha),
  }),
  PRelu: [
    operator({
      attributes: consumed,
      build: (call) => {
        const [x, slope] = [call.tensor(0), call.tensor(1)];
        const isByChannel = slope.rank === 1 && x.rank > 1 && slope.size > 1;
        return slopeBelow(x, isByChannel ? reshape(slope, besideChannels(slope.size, x.rank)) : slope);
      },
    }),
    operator({ since: 7, build: (call) => slopeBelow(call.tensor(0), call.tensor(1)) }),
  ],
  Gelu: operator({
    since: 20,
    attributes: { approximate: oneOf(["none", "tanh"]).or("none") },
    build: (call, { approximate }) => gelu(call.tensor(0), { approximate }),
  }),
  ThresholdedRelu: operator({
    since: 10,
    attributes: { alpha: float.or(1) },
    build: (call, { alpha }) => where(greater(call.tensor(0), alpha), call.tensor(0), 0),
  }),
  HardSigmoid: operator({
    attributes: { alpha: float.or(0.2), beta: float.or(0.5), ...consumed },
    build: (call, { alpha, beta }) => hardSigmoid(call.tensor(0), alpha, beta),
  }),
  HardSwish: operator({
    since: 14,
    build: (call) => multiply(call.tensor(0), hardSigmoid(call.tensor(0), 1 / 6)),
  }),
  Mish: operator({ since: 18, build: (call) => multiply(call.tensor(0), tanh(softplus(call.tensor(0)))) }),
  Shrink: operator({
    since: 9,
    attributes: { lambd: float.or(0.5), bias: float.or(0) },
    build: (call, { lambd, bias }) => {
      const x = call.tensor(0);
      return where(less(x, -lambd), add(x, bias), where(greater(x, lambd), subtract(x, bias), 0));
    },
  }),
  Dropout: [
    operator({
      attributes: { is_test: flag(false), ratio: float.or(0.5), ...consumed },
      build: (call, { is_test: isTest, ratio }) => dropout(call, !isTest, ratio, true),
    }),
    operator({
      since: 7,
      attributes: { ratio: float.or(0.5) },
      build: (call, { ratio }) => dropout(call, false, ratio, true),
    }),
    operator({
      since: 10,
      attributes: { ratio: float.or(0.5) },
      build: (call, { ratio }) => dropout(call, false, ratio),
    }),
    operator({
      since: 12,
      attributes: { seed: integer },
      numbers: [1, 2],
      build: (call) => dropout(call, call.optionalNumbers(2)?.[0] === 1, call.optionalNumbers(1)?.[0] ?? 0.5),
    }),
  ],
};
