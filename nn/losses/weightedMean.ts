import { divide, equal, EvenkeelError, multiply, reduceSum, reshape, type Tensor, where } from "../../engine/index.ts";

/** What becomes of the losses of all examples: their mean, their sum, or nothing. */
export type Reduction = "mean" | "sum" | "none";

/**
 * Weights of the first axes of something, as many axes as that has: [N] for [N, T] gives [N, 1].
 * @throws EvenkeelError `shape` for others.
 */
export function alongFirstAxes(operation: string, weights: Tensor, shape: readonly number[]): Tensor {
  if (weights.rank > shape.length || weights.shape.some((extent, axis) => extent !== shape[axis])) {
    throw new EvenkeelError(
      "shape",
      `${operation}: weights are [${weights.shape.join(", ")}], expected the first axes of [${shape.join(", ")}].`,
    );
  }
  return reshape(weights, [...weights.shape, ...shape.slice(weights.rank).map(() => 1)]);
}

/** values times weights that broadcast; 0 where the weight is, whatever the value: what doesn't count may be NaN. */
export function weighted(values: Tensor, weights: Tensor): Tensor {
  return where(equal(weights, 0), 0, multiply(values, weights));
}

/**
 * The mean of values of which some count more than others: sum(w v) / sum(w). Weights have the first axes of the values. So the mean over a
 * batch that is filled up with anything, NaN too, of weight 0, is that over the smaller batch. If all weights are 0 there is nothing to take
 * the mean of, and it is NaN.
 * @throws EvenkeelError `shape` if they don't.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await weightedMean(tensor([1, 3, 99]), tensor([1, 1, 0])).item()); // 2
 * ```
 */
export function weightedMean(values: Tensor, weights: Tensor): Tensor {
  const along = alongFirstAxes("weightedMean", weights, values.shape);
  const each = values.size / Math.max(1, weights.size);
  return divide(reduceSum(weighted(values, along)), multiply(reduceSum(weights), each));
}

/** @param counts how much each loss weighs in their mean; of the losses' shape. Losses have their weights in them already. */
export function reduceLosses(losses: Tensor, counts: Tensor, reduction: Reduction): Tensor {
  switch (reduction) {
    case "none":
      return losses;
    case "sum":
      return reduceSum(losses);
    case "mean":
      return divide(reduceSum(losses), reduceSum(counts));
  }
}
