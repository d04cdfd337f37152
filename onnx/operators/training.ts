/**
 * Training within a graph, of the domain `ai.onnx.preview.training`: derivatives, and steps of optimizers, whose inputs are rate, count of
 * steps, then all parameters, gradients and states.
 */
import {
  add,
  cast,
  divide,
  grad,
  greater,
  multiply,
  power,
  reduceSum,
  sqrt,
  square,
  subtract,
  type Tensor,
  where,
} from "../../engine/index.ts";
import { quoteText } from "../../engine/io/index.ts";
import { float, oneOf, text, texts } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { TensorValue } from "../build/value.ts";
import { upTo } from "./axes.ts";

/** One parameter's step: what it and its states become. */
type Step = (
  parameter: Tensor,
  gradient: Tensor,
  states: readonly Tensor[],
  rate: Tensor,
  count: Tensor,
) => readonly Tensor[];

/** Each parameter's step: all parameters, then all first states, and so on. */
function stepAll(call: NodeCall, states: number, step: Step): Tensor[] {
  const n = (call.inputs.length - 2) / (2 + states);
  if (!Number.isInteger(n)) throw call.error("value", `${call.inputs.length} inputs are not the right number.`);
  const [rate, count] = [call.tensor(0), cast(call.tensor(1), "f32")];
  const results = upTo(n).map((i) => {
    const own = upTo(states).map((k) => call.tensor(2 + (2 + k) * n + i));
    return step(call.tensor(2 + i), call.tensor(2 + n + i), own, rate, count);
  });
  return upTo(1 + states).flatMap((k) => results.flatMap((result) => result.slice(k, k + 1)));
}

/** The gradient with that of half the squared norm of the parameter, times a coefficient. */
const regularized = (parameter: Tensor, gradient: Tensor, coefficient: number): Tensor =>
  add(multiply(parameter, coefficient), gradient);

/** The derivatives of the sum of `target` by the values named in `names`, whose values are the first inputs. */
function gradient(call: NodeCall, names: readonly string[], target: string): readonly Result[] {
  const sum = (tensors: Tensor[]): Tensor => {
    const replaced = new Map(
      names.map((name, i) => {
        const { type, tensor } = call.value(i);
        return [name, TensorValue.computed(name, type, tensors[i] ?? tensor, false)] as const;
      }),
    );
    const value = call.rebuild(replaced).get(target);
    if (!(value instanceof TensorValue)) throw call.error("value", `${quoteText(target)} is no tensor before it.`);
    return reduceSum(value.tensor);
  };
  return grad(sum)(names.map((_, i) => call.tensor(i)));
}

export const trainings: OperatorTable = {
  "ai.onnx.preview.training.Gradient": operator({
    attributes: { xs: texts.required, zs: texts, y: text.required },
    build: (call, { xs, y }) => gradient(call, xs, y),
  }),
  "ai.onnx.preview.training.Adam": operator({
    attributes: {
      alpha: float.or(0.9),
      beta: float.or(0.999),
      epsilon: float.or(1e-6),
      norm_coefficient: float.or(0),
      norm_coefficient_post: float.or(0),
    },
    build: (call, { alpha, beta, epsilon, norm_coefficient: before, norm_coefficient_post: behind }) =>
      stepAll(call, 2, (parameter, gradient, [mean = gradient, squares = gradient], rate, count) => {
        const regular = regularized(parameter, gradient, before);
        const nextMean = add(multiply(mean, alpha), multiply(regular, 1 - alpha));
        const nextSquares = add(multiply(squares, beta), multiply(square(regular), 1 - beta));
        const correction = divide(sqrt(subtract(1, power(beta, count))), subtract(1, power(alpha, count)));
        const adjusted = where(greater(count, 0), multiply(rate, correction), rate);
        const moved = subtract(parameter, divide(multiply(adjusted, nextMean), add(sqrt(nextSquares), epsilon)));
        return [multiply(moved, 1 - behind), nextMean, nextSquares];
      }),
  }),
  "ai.onnx.preview.training.Adagrad": operator({
    attributes: { decay_factor: float.or(0), epsilon: float.or(1e-6), norm_coefficient: float.or(0) },
    build: (call, { decay_factor: decay, epsilon, norm_coefficient: coefficient }) =>
      stepAll(call, 1, (parameter, gradient, [squares = gradient], rate, count) => {
        const regular = regularized(parameter, gradient, coefficient);
        const next = add(squares, square(regular));
        const decayed = divide(rate, add(1, multiply(count, decay)));
        return [subtract(parameter, divide(multiply(decayed, regular), add(sqrt(next), epsilon))), next];
      }),
  }),
  "ai.onnx.preview.training.Momentum": operator({
    attributes: {
      alpha: float.required,
      beta: float.required,
      mode: oneOf(["standard", "nesterov"]).required,
      norm_coefficient: float.required,
    },
    build: (call, { alpha, beta, mode, norm_coefficient: coefficient }) =>
      stepAll(call, 1, (parameter, gradient, [velocity = gradient], rate, count) => {
        const regular = regularized(parameter, gradient, coefficient);
        const next = add(multiply(velocity, alpha), multiply(regular, where(greater(count, 0), beta, 1)));
        const direction = mode === "nesterov" ? add(regular, multiply(next, alpha)) : next;
        return [subtract(parameter, multiply(rate, direction)), next];
      }),
  }),
};
