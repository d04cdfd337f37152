import {
  add,
  cast,
  divide,
  expm1,
  fillTree,
  mapTree,
  multiply,
  negate,
  sqrt,
  square,
  subtract,
  type Tensor,
  type TensorLike,
  treeLeaves,
  zerosLike,
} from "../../engine/index.ts";
import type { NamedParameters } from "../parameters.ts";
import { leavesAs } from "./leavesAs.ts";

/** Options of Adam. */
export type AdamOptions = {
  /** Decay of the mean of gradients. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients. Default 0.999; 0.99 for EDM2. */
  readonly beta2?: number;
  /** Added to the root of the mean square. Default 1e-8. */
  readonly epsilon?: number;
};

/** Options of AdamW. */
export type AdamWOptions = AdamOptions & {
  /** How much of itself a parameter loses in a step of rate 1. Default 0.01. */
  readonly weightDecay?: number;
  /**
   * Which parameters decay, told by the tensor and its place, such as `layers[0].weight`. Default: all. Often it is matrices and filters
   * only: `(parameter) => parameter.rank > 1`.
   */
  readonly decays?: (parameter: Tensor, path: string) => boolean;
};

/** Running means of gradients and of their squares, each a tree like the parameters'. */
export type AdamMoments<Tree = NamedParameters> = { readonly first: Tree; readonly second: Tree };

/** How much the moments fall short of the means that they estimate. */
export type AdamCorrections<T = TensorLike> = { readonly first: T; readonly second: T };

/** Parameters, and what the optimizer remembers of them, after a step. */
export type AdamStep<Tree> = { readonly parameters: Tree; readonly moments: AdamMoments<Tree> };

/**
 * Moments before the first step: zeros. Parameters are any tree of tensors.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const { first, second } = adamMoments({ w: tensor([1, 2]) });
 * console.log(await first.w.array(), await second.w.array()); // [ 0, 0 ] [ 0, 0 ]
 * ```
 */
export function adamMoments<Tree>(parameters: Tree): AdamMoments<Tree> {
  return { first: mapTree(parameters, zerosLike), second: mapTree(parameters, zerosLike) };
}

/**
 * How much the moments of step number `step` (from 1) fall short of the means they estimate, 1 - beta^step. Of a number they are numbers in
 * float64, to be given as scalars; of a scalar tensor (a counter in the state) tensors, within 1e-6 of themselves.
 * @example console.log(adamCorrections(1), adamCorrections(1000)); // { first: 0.1, second: 0.001 } { first: 1, second: 0.63 }
 */
export function adamCorrections(step: number, options?: AdamOptions): { first: number; second: number };
export function adamCorrections(step: Tensor, options?: AdamOptions): { first: Tensor; second: Tensor };
export function adamCorrections(
  step: number | Tensor,
  options: AdamOptions = {},
): { first: TensorLike; second: TensorLike } {
  const { beta1 = 0.9, beta2 = 0.999 } = options;
  if (typeof step === "number") return { first: 1 - beta1 ** step, second: 1 - beta2 ** step };
  // float32 has no exact powers, and 1 minus one near 1 would lose its digits.
  const counted = cast(step, "f32");
  const correction = (beta: number): Tensor => negate(expm1(multiply(counted, Math.log(beta))));
  return { first: correction(beta1), second: correction(beta2) };
}

/**
 * One step of Adam (Kingma and Ba 2015), without weight decay.
 * @param parameters any tree of tensors; gradients and moments are trees like it.
 * @param rate learning rate, a scalar tensor. (A number is another program for each value.)
 * @param corrections what `adamCorrections` gives for this step, as scalar tensors.
 * @throws EvenkeelError `value` or `shape` unless gradients and moments are trees like the parameters'
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const parameters = { w: tensor([1, 2]) };
 * const gradient = { w: tensor([0.5, -3]) };
 * const next = adam(parameters, gradient, adamMoments(parameters), 0.1, adamCorrections(1));
 * console.log(await next.parameters.w.array()); // [ 0.9, 2.1 ]
 * ```
 */
export function adam<Tree>(
  parameters: Tree,
  gradient: NoInfer<Tree>,
  moments: AdamMoments<NoInfer<Tree>>,
  rate: TensorLike,
  corrections: AdamCorrections,
  options: AdamOptions = {},
): AdamStep<Tree> {
  return stepOf("adam", parameters, gradient, moments, rate, corrections, options, (parameter) => parameter);
}

/**
 * One step of AdamW (Loshchilov and Hutter 2019): Adam, and apart from it p (1 - rate * weightDecay) of each parameter that decays.
 * Arguments as `adam`'s. @throws EvenkeelError as `adam`
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const weights = { w: tensor([1, -2]) };
 * const gradient = { w: tensor([0.5, 0.5]) };
 * const { parameters } = adamW(weights, gradient, adamMoments(weights), 0.1, adamCorrections(1), { weightDecay: 0.1 });
 * console.log(await parameters.w.array()); // [ 0.89, -2.08 ]
 * ```
 */
export function adamW<Tree>(
  parameters: Tree,
  gradient: NoInfer<Tree>,
  moments: AdamMoments<NoInfer<Tree>>,
  rate: TensorLike,
  corrections: AdamCorrections,
  options: AdamWOptions = {},
): AdamStep<Tree> {
  const { weightDecay = 0.01, decays = () => true } = options;
  const kept = subtract(1, multiply(rate, weightDecay));
  return stepOf("adamW", parameters, gradient, moments, rate, corrections, options, (parameter, path) =>
    decays(parameter, path) ? multiply(parameter, kept) : parameter,
  );
}

function stepOf<Tree>(
  operation: string,
  parameters: Tree,
  gradient: unknown,
  moments: AdamMoments<unknown>,
  rate: TensorLike,
  corrections: AdamCorrections,
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamOptions,
  decay: (parameter: Tensor, path: string) => Tensor,
): AdamStep<Tree> {
  const leaves = treeLeaves(parameters);
  const gradients = leavesAs(operation, "gradients", leaves, gradient);
  const before = {
    first: leavesAs(operation, "first moments", leaves, moments.first),
    second: leavesAs(operation, "second moments", leaves, moments.second),
  };
  const stepSize = divide(rate, corrections.first);
  const root = sqrt(corrections.second);
  const [next, first, second]: [Tensor[], Tensor[], Tensor[]] = [[], [], []];
  for (const [i, g] of gradients.entries()) {
    const [leaf, m, v] = [leaves[i], before.first[i], before.second[i]];
    if (leaf === undefined || m === undefined || v === undefined) throw new RangeError("leavesAs gives one for each");
    const mean = add(multiply(m, beta1), multiply(g, 1 - beta1));
    const meanSquare = add(multiply(v, beta2), multiply(square(g), 1 - beta2));
    first.push(mean);
    second.push(meanSquare);
    const change = divide(multiply(stepSize, mean), add(divide(sqrt(meanSquare), root), epsilon));
    next.push(subtract(decay(leaf.tensor, leaf.path), change));
  }
  return {
    parameters: fillTree(parameters, next),
    moments: { first: fillTree(parameters, first), second: fillTree(parameters, second) },
  };
}
