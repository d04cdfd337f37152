import { divide, EvenkeelError, randomBernoulli, type Tensor, where, zerosLike } from "../../engine/index.ts";

/**
 * Inverted dropout (Srivastava et al. 2014): each element is 0 with this probability, else divided by 1 - probability, so that the
 * mean stays. Which ones follows from the key alone: give each step and each layer its own, `foldIn(foldIn(key, step), layer)`.
 * @throws EvenkeelError `value` for a probability outside of 0 to 1.
 * @example
 * ```ts
 * import { ones, randomKey, reduceMax, reduceMin } from "evenkeel/engine";
 *
 * const y = dropout(ones([1000]), randomKey(0), 0.5);
 * console.log(await reduceMin(y).item(), await reduceMax(y).item()); // 0 2
 * ```
 */
export function dropout(x: Tensor, key: Tensor, probability: number): Tensor {
  if (!(probability >= 0 && probability <= 1)) {
    throw new EvenkeelError("value", `dropout: probability ${probability} is not a number from 0 to 1.`);
  }
  if (probability === 0) return x;
  if (probability === 1) return zerosLike(x);
  return where(randomBernoulli(key, x.shape, probability), 0, divide(x, 1 - probability));
}
