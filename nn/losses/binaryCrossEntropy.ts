import {
  add,
  EvenkeelError,
  multiply,
  negate,
  onesLike,
  softplus,
  subtract,
  type Tensor,
  type TensorLike,
} from "../../engine/index.ts";
import { alongFirstAxes, reduceLosses, type Reduction, weighted } from "./weightedMean.ts";

/** Options of `binaryCrossEntropyWithLogits`. */
export type BinaryCrossEntropyOptions = {
  /** Factor on the losses of positive examples, a number or what broadcasts to the logits. Default 1. */
  readonly positiveWeight?: TensorLike;
  /** How much each example counts: the logits' first axes. Default: 1. 0 for what only fills a batch up. */
  readonly weights?: Tensor;
  /** Default: the mean, that is the sum of weighted losses over the sum of the weights. */
  readonly reduction?: Reduction;
};

/**
 * Binary cross entropy in nats: -t ln p - (1 - t) ln(1 - p) with p = 1 / (1 + e^-x), without overflow: (1 - t) x + softplus(-x).
 * Logits x and targets t (0 to 1) are f32 of one shape. All derivatives are right at x = 0 too.
 * @throws EvenkeelError `shape` or `dtype` if targets aren't as the logits.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await binaryCrossEntropyWithLogits(tensor([0, 1000]), tensor([1, 1])).item()); // 0.34657
 * ```
 */
export function binaryCrossEntropyWithLogits(
  logits: Tensor,
  targets: Tensor,
  { positiveWeight = 1, weights, reduction = "mean" }: BinaryCrossEntropyOptions = {},
): Tensor {
  if (targets.dtype !== "f32" || targets.shape.join() !== logits.shape.join()) {
    throw new EvenkeelError(
      targets.dtype === "f32" ? "shape" : "dtype",
      `binaryCrossEntropyWithLogits: targets are ${targets.dtype} [${targets.shape.join(", ")}], expected f32 [${logits.shape.join(", ")}] as the logits.`,
    );
  }
  const factor = positiveWeight === 1 ? 1 : add(multiply(subtract(positiveWeight, 1), targets), 1);
  const losses = add(multiply(subtract(1, targets), logits), multiply(softplus(negate(logits)), factor));
  if (weights === undefined) return reduceLosses(losses, onesLike(losses), reduction);
  const counts = multiply(onesLike(losses), alongFirstAxes("binaryCrossEntropyWithLogits", weights, losses.shape));
  return reduceLosses(weighted(losses, counts), counts, reduction);
}
