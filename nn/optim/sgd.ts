import {
  add,
  fillTree,
  mapTree,
  multiply,
  subtract,
  type Tensor,
  type TensorLike,
  treeLeaves,
  zerosLike,
} from "../../engine/index.ts";
import { leavesAs } from "./leavesAs.ts";

/**
 * One step of gradient descent: parameters - rate * gradient, of any tree. `rate` is a scalar tensor.
 * @throws EvenkeelError `value` or `shape` unless the gradient is a tree like the parameters'
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const next = sgd({ w: tensor([1, 2]) }, { w: tensor([0.5, -3]) }, 0.1);
 * console.log(await next.w.array()); // [ 0.95, 2.3 ]
 * ```
 */
export function sgd<Tree>(parameters: Tree, gradient: NoInfer<Tree>, rate: TensorLike): Tree {
  const leaves = treeLeaves(parameters);
  const gradients = leavesAs("sgd", "gradients", leaves, gradient);
  return fillTree(
    parameters,
    leaves.map(({ tensor }, i) => subtract(tensor, multiply(rate, gradients[i] as Tensor))),
  );
}

/** Options of `sgdWithMomentum`. */
export type MomentumOptions = {
  /** Share of the velocity that is kept. Default 0.9. */
  readonly momentum?: number;
  /** Looks ahead by one step of the velocity (Nesterov 1983, as Sutskever et al. 2013 have it). Default: false. */
  readonly isNesterov?: boolean;
  /** Times the parameters, added to their gradient. Default 0. */
  readonly weightDecay?: number;
};

/**
 * The velocity before the first step: zeros.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const velocity = sgdVelocity({ w: tensor([1, 2]) });
 * console.log(await velocity.w.array()); // [ 0, 0 ]
 * ```
 */
export function sgdVelocity<Tree>(parameters: Tree): Tree {
  return mapTree(parameters, zerosLike);
}

/**
 * One step of gradient descent with momentum, of any tree: g = gradient + weightDecay * p, v' = momentum * v + g, and p' = p - rate * v',
 * or with Nesterov's p - rate * (g + momentum * v'). As in PyTorch, the rate is not part of the velocity.
 * @param velocity `sgdVelocity`'s at first, then what the step before gave.
 * @throws EvenkeelError `value` or `shape` unless gradient and velocity are trees like the parameters'
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const weights = { w: tensor([1]) };
 * const gradient = { w: tensor([2]) };
 * const { parameters, velocity } = sgdWithMomentum(weights, gradient, sgdVelocity(weights), 0.1);
 * console.log(await parameters.w.array(), await velocity.w.array()); // [ 0.8 ] [ 2 ]
 * ```
 */
export function sgdWithMomentum<Tree>(
  parameters: Tree,
  gradient: NoInfer<Tree>,
  velocity: NoInfer<Tree>,
  rate: TensorLike,
  { momentum = 0.9, isNesterov = false, weightDecay = 0 }: MomentumOptions = {},
): { readonly parameters: Tree; readonly velocity: Tree } {
  const leaves = treeLeaves(parameters);
  const gradients = leavesAs("sgdWithMomentum", "gradients", leaves, gradient);
  const velocities = leavesAs("sgdWithMomentum", "velocities", leaves, velocity);
  const [next, moving]: [Tensor[], Tensor[]] = [[], []];
  for (const [i, { tensor }] of leaves.entries()) {
    const plain = gradients[i] as Tensor;
    const g = weightDecay === 0 ? plain : add(plain, multiply(tensor, weightDecay));
    const v = add(multiply(velocities[i] as Tensor, momentum), g);
    moving.push(v);
    next.push(subtract(tensor, multiply(rate, isNesterov ? add(g, multiply(v, momentum)) : v)));
  }
  return { parameters: fillTree(parameters, next), velocity: fillTree(parameters, moving) };
}
