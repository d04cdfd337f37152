import { multiply, subtract, type Tensor } from "../../engine/index.ts";
import type { NamedParameters } from "../parameters.ts";
import { namedTensor } from "./namedTensor.ts";

/**
 * One step of gradient descent: parameters - rate * gradient. `rate` is a scalar tensor.
 * @throws EvenkeelError `value` unless gradients are tensors by the names of the parameters
 */
export function sgd(parameters: NamedParameters, gradient: NamedParameters, rate: Tensor): Record<string, Tensor> {
  return Object.fromEntries(
    Object.keys(parameters).map((name) => {
      const slope = namedTensor("sgd", "gradients", gradient, name);
      return [name, subtract(namedTensor("sgd", "parameters", parameters, name), multiply(rate, slope))];
    }),
  );
}
