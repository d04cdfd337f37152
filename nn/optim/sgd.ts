import { multiply, subtract, type Tensor } from "../../engine/index.ts";
import type { NamedParameters } from "../parameters.ts";

/** One step of gradient descent: parameters - rate * gradient. `rate` is a scalar tensor. */
export function sgd(parameters: NamedParameters, gradient: NamedParameters, rate: Tensor): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      subtract(value, multiply(rate, gradient[name] as Tensor)),
    ]),
  );
}
