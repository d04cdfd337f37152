import {
  cast,
  divide,
  isFinite,
  lessEqual,
  mapTree,
  multiply,
  norm,
  not,
  scalar,
  stack,
  sumOfAll,
  type Tensor,
  type TensorLike,
  treeLeaves,
  where,
} from "../../engine/index.ts";

/**
 * Gradients, any tree, with NaN and infinities replaced by 0, as the reference does before Adam.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await cleanGradients({ w: tensor([1, NaN, -Infinity]) }).w.array()); // [ 1, 0, 0 ]
 * ```
 */
export function cleanGradients<Tree>(gradient: Tree): Tree {
  return mapTree(gradient, (g) => where(isFinite(g), g, 0));
}

/**
 * How many elements of gradients, any tree, aren't finite: a scalar f32.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await countNonFinite({ w: tensor([1, NaN, -Infinity]), b: tensor([0]) }).array()); // 2
 * ```
 */
export function countNonFinite(gradient: unknown): Tensor {
  return sumOfAll(treeLeaves(gradient).map(({ tensor }) => cast(not(isFinite(tensor)), "f32")));
}

/**
 * The Euclidean norm of all gradients of a tree together, right for elements of any magnitude: a scalar, 0 if there are none. Its derivative
 * at 0 is 0.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await globalNorm({ w: tensor([3, 0]), b: tensor([4]) }).array()); // 5
 * ```
 */
export function globalNorm(gradient: unknown): Tensor {
  const norms = treeLeaves(gradient).map(({ tensor }) => norm(tensor));
  return norms.length === 0 ? scalar(0) : norm(stack(norms));
}

/**
 * Gradients, any tree, scaled down so that their norm together is `maximum` at most (Pascanu et al. 2013); those whose norm is smaller stay
 * as they are, bit for bit. Where gradients hold NaN or an infinity, so does the norm, and what is scaled by it is of no use: skip a step
 * whose norm isn't finite, or call `cleanGradients` first.
 * @returns the gradients, and their norm before.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const { gradient, norm } = clipByNorm({ w: tensor([3, 4]) }, 1);
 * console.log(await gradient.w.array(), await norm.item()); // [ 0.6, 0.8 ] 5
 * ```
 */
export function clipByNorm<Tree>(
  gradient: Tree,
  maximum: TensorLike,
): { readonly gradient: Tree; readonly norm: Tensor } {
  const length = globalNorm(gradient);
  const isShort = lessEqual(length, maximum);
  const factor = where(isShort, 1, divide(maximum, where(isShort, 1, length)));
  return { gradient: mapTree(gradient, (g) => multiply(g, factor)), norm: length };
}
