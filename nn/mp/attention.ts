import { EvenkeelError, einsum, multiply, reshape, slice, softmax, type Tensor } from "../../engine/index.ts";
import { normalize } from "./normalize.ts";

/** What attention shows of itself to a study: logits and weights, [N, heads, queries, keys]. */
export type AttentionTap = (what: "logits" | "weights", value: Tensor) => void;

/**
 * Cosine attention over the pixels of qkv [N, 3 C, H, W] to [N, C, H, W]. Channels are [heads, channels per head, 3] with
 * query, key and value varying fastest; each is normalized over the channels of its head at each pixel, so that logits
 * stay within +-sqrt(channels per head). Karras et al. 2024, section B.3.
 * @param kept what is done to normalized queries, keys and values; default: nothing.
 * @throws EvenkeelError `shape` if the channels don't divide into heads.
 * @example
 * ```ts
 * import { randomKey, randomNormal } from "evenkeel/engine";
 *
 * console.log(cosineAttention(randomNormal(randomKey(0), [1, 3 * 8, 4, 4]), 4).shape); // [ 1, 8, 4, 4 ]
 * ```
 */
export function cosineAttention(
  qkv: Tensor,
  channelsPerHead: number,
  tap?: AttentionTap,
  kept = (parts: Tensor): Tensor => parts,
): Tensor {
  return attend("cosineAttention", qkv, channelsPerHead, (parts) => kept(normalize(parts, 2)), tap);
}

/**
 * The same with queries, keys and values as they are (Vaswani et al. 2017): logits grow with them, without a bound. Configurations A
 * and B. @throws EvenkeelError `shape` if the channels don't divide into heads.
 * @example
 * ```ts
 * import { randomKey, randomNormal } from "evenkeel/engine";
 *
 * console.log(dotProductAttention(randomNormal(randomKey(0), [1, 3 * 8, 4, 4]), 4).shape); // [ 1, 8, 4, 4 ]
 * ```
 */
export function dotProductAttention(qkv: Tensor, channelsPerHead: number, tap?: AttentionTap): Tensor {
  return attend("dotProductAttention", qkv, channelsPerHead, (parts) => parts, tap);
}

/** @param prepare is given queries, keys and values as [N, heads, channels per head, 3, pixels]. */
function attend(
  operation: string,
  qkv: Tensor,
  channelsPerHead: number,
  prepare: (parts: Tensor) => Tensor,
  tap?: AttentionTap,
): Tensor {
  const [count = 0, channels3 = 0, height = 0, width = 0] = qkv.shape;
  const heads = channels3 / 3 / channelsPerHead;
  if (!Number.isInteger(heads) || heads < 1) {
    throw new EvenkeelError(
      "shape",
      `${operation}: ${channels3 / 3} channels don't divide into heads of ${channelsPerHead}.`,
    );
  }
  const pixels = height * width;
  const parts = prepare(reshape(qkv, [count, heads, channelsPerHead, 3, pixels]));
  const part = (index: number): Tensor =>
    reshape(slice(parts, [null, null, null, [index, index + 1]]), [count, heads, channelsPerHead, pixels]);
  const logits = einsum("nhcq,nhck->nhqk", part(0), multiply(part(1), 1 / Math.sqrt(channelsPerHead)));
  tap?.("logits", logits);
  const weights = softmax(logits, 3);
  tap?.("weights", weights);
  const attended = einsum("nhqk,nhck->nhcq", weights, part(2));
  return reshape(attended, [count, channels3 / 3, height, width]);
}
