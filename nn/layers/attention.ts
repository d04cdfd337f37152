import {
  add,
  and,
  any,
  equal,
  EvenkeelError,
  matmul,
  multiply,
  not,
  reduceMax,
  type Shape,
  softmax,
  stopGradient,
  type Tensor,
  transpose,
  where,
} from "../../engine/index.ts";
import type { AttentionTap } from "../mp/index.ts";
import { causalMask } from "./attentionMasks.ts";

/** What attention may see, and what is done on the way. */
export type AttentionOptions = {
  /**
   * What each query may see of the keys; broadcasts to [.., queries, keys]. bool: true where it may. f32: added to the logits,
   * -Infinity where it may not.
   */
  readonly mask?: Tensor;
  /** Query i sees keys up to i only. Together with a mask both have to allow it. Default: false. */
  readonly isCausal?: boolean;
  /** Factor on the logits. Default: 1 / sqrt(channels of a query). */
  readonly scale?: number;
  /** What is done to the weights, such as dropout. Default: nothing. */
  readonly dropout?: (weights: Tensor) => Tensor;
  /** Shows logits (behind the mask) and weights to a study. */
  readonly tap?: AttentionTap;
};

/**
 * softmax(scale q k' + mask) v (Vaswani et al. 2017): query [.., L, E], key [.., S, E], value [.., S, V] to [.., L, V]; axes in front
 * broadcast. A query that may see nothing gives zeros, and has no derivative.
 * @throws EvenkeelError `shape` if sizes don't fit, `dtype` for a mask that is neither bool nor f32.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const [query, key] = [tensor([[100]]), tensor([[0], [1]])];
 * console.log(await scaledDotProductAttention(query, key, tensor([[5, 6], [7, 8]])).array()); // [ [ 7, 8 ] ]
 * ```
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { mask, isCausal = false, scale, dropout, tap }: AttentionOptions = {},
): Tensor {
  const [queries, channels] = query.shape.slice(-2);
  const [keys, keyChannels] = key.shape.slice(-2);
  if (
    queries === undefined ||
    channels === undefined ||
    keys === undefined ||
    value.rank < 2 ||
    channels !== keyChannels ||
    value.shape.at(-2) !== keys
  ) {
    const [q, k, v] = [query, key, value].map(({ shape }) => `[${shape.join(", ")}]`);
    throw new EvenkeelError(
      "shape",
      `scaledDotProductAttention: query ${q}, key ${k} and value ${v} don't fit: expected [.., L, E], [.., S, E] and [.., S, V].`,
    );
  }
  const plain = matmul(multiply(query, scale ?? 1 / Math.sqrt(channels)), transpose(key));
  if (mask !== undefined) requireMask(mask, plain.shape);
  const { logits, isBlind } = masked(plain, mask, isCausal ? causalMask(queries, keys) : undefined);
  tap?.("logits", logits);
  // The softmax of nothing would be 0 / 0.
  const weights = isBlind === null ? softmax(logits) : where(isBlind, 0, softmax(where(isBlind, 0, logits)));
  tap?.("weights", weights);
  return matmul(dropout === undefined ? weights : dropout(weights), value);
}

/** Logits of -Infinity where a query may not see, and which queries [.., L, 1] see nothing at all, or null if that can't be. */
function masked(
  logits: Tensor,
  mask: Tensor | undefined,
  causal: Tensor | undefined,
): { readonly logits: Tensor; readonly isBlind: Tensor | null } {
  const none = -Infinity;
  if (mask === undefined) {
    // Every query sees the first key.
    return { logits: causal === undefined ? logits : where(causal, logits, none), isBlind: null };
  }
  const over = { axes: -1, keepAxes: true } as const;
  if (mask.dtype === "bool") {
    const seen = causal === undefined ? mask : and(mask, causal);
    return { logits: where(seen, logits, none), isBlind: not(any(seen, over)) };
  }
  const added = add(logits, mask);
  const all = causal === undefined ? added : where(causal, added, none);
  return { logits: all, isBlind: equal(reduceMax(stopGradient(all), over), none) };
}

function requireMask(mask: Tensor, logits: Shape): void {
  if (mask.dtype !== "bool" && mask.dtype !== "f32") {
    throw new EvenkeelError(
      "dtype",
      `scaledDotProductAttention: the mask is ${mask.dtype}, expected bool (true: may be seen) or f32 (added to the logits).`,
    );
  }
  const shifted = logits.length - mask.rank;
  if (shifted < 0 || mask.shape.some((extent, axis) => extent !== 1 && extent !== logits[axis + shifted])) {
    throw new EvenkeelError(
      "shape",
      `scaledDotProductAttention: the mask [${mask.shape.join(", ")}] doesn't broadcast to the logits [${logits.join(", ")}].`,
    );
  }
}
