import { add, divide, mapTree, multiply, sqrt, square, subtract, type Tensor, zerosLike } from "../../engine/index.ts";
import type { NamedParameters } from "../parameters.ts";
import { namedTensor } from "./namedTensor.ts";

/** Options of Adam. */
export type AdamOptions = {
  /** Decay of the mean of gradients. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients. Default 0.999; 0.99 for EDM2. */
  readonly beta2?: number;
  /** Added to the root of the mean square. Default 1e-8. */
  readonly epsilon?: number;
};

/** Running means of gradients and of their squares. */
export type AdamMoments = { readonly first: NamedParameters; readonly second: NamedParameters };

/** Moments before the first step: zeros. */
export function adamMoments(parameters: NamedParameters): AdamMoments {
  return { first: mapTree(parameters, zerosLike), second: mapTree(parameters, zerosLike) };
}

/**
 * How much the moments of step number `step` (from 1) fall short of the means they estimate: scalars for `adam`, computed
 * on the host in float64, because float32 has no exact powers.
 */
export function adamCorrections(step: number, options: AdamOptions = {}): { first: number; second: number } {
  const { beta1 = 0.9, beta2 = 0.999 } = options;
  return { first: 1 - beta1 ** step, second: 1 - beta2 ** step };
}

/**
 * One step of Adam (Kingma and Ba 2015), without weight decay.
 * @param rate learning rate, a scalar tensor.
 * @param corrections what `adamCorrections` gives for this step, as scalar tensors.
 * @throws EvenkeelError `value` unless gradients and moments are tensors by the names of the parameters
 */
export function adam(
  parameters: NamedParameters,
  gradient: NamedParameters,
  moments: AdamMoments,
  rate: Tensor,
  corrections: { readonly first: Tensor; readonly second: Tensor },
  options: AdamOptions = {},
): { readonly parameters: Record<string, Tensor>; readonly moments: AdamMoments } {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  const [next, first, second] = [{}, {}, {}] as [
    Record<string, Tensor>,
    Record<string, Tensor>,
    Record<string, Tensor>,
  ];
  const stepSize = divide(rate, corrections.first);
  const root = sqrt(corrections.second);
  for (const name of Object.keys(parameters)) {
    const parameter = namedTensor("adam", "parameters", parameters, name);
    const g = namedTensor("adam", "gradients", gradient, name);
    const m = namedTensor("adam", "first moments", moments.first, name);
    const v = namedTensor("adam", "second moments", moments.second, name);
    const mean = add(multiply(m, beta1), multiply(g, 1 - beta1));
    const meanSquare = add(multiply(v, beta2), multiply(square(g), 1 - beta2));
    first[name] = mean;
    second[name] = meanSquare;
    next[name] = subtract(parameter, divide(multiply(stepSize, mean), add(divide(sqrt(meanSquare), root), epsilon)));
  }
  return { parameters: next, moments: { first, second } };
}
