/**
 * Keys: the state of the generator, as a value. The same key always gives the same numbers; new keys are derived, never
 * advanced. The counter's second word keeps the uses of a key apart.
 */
import { EvenkeelError } from "../errors.ts";
import { Tensor, tensor } from "../graph/tensor.ts";
import { iota, scalar } from "../ops/creation.ts";
import { cast } from "../ops/elementwise.ts";
import { reshape, slice, stack } from "../ops/movement.ts";
import { keyWords, threefry, withTrailingAxes } from "./threefry.ts";

/** Second counter word by use. */
export const streams = { bits: 0, split: 1, foldIn: 2 } as const;

/** A key u32 [2] of a seed: a whole number from 0 to 2^53. @throws EvenkeelError `value`. */
export function randomKey(seed: number): Tensor {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new EvenkeelError("value", `randomKey: seed ${seed} is not a whole number from 0 to 2^53.`);
  }
  return tensor(new Uint32Array([Math.floor(seed / 2 ** 32), seed % 2 ** 32]));
}

/** `count` independent keys [.., count, 2] of a key [.., 2]. */
export function splitKey(key: Tensor, count: number): Tensor {
  const [key0, key1] = keyWords("splitKey", key);
  const words = ([0, 1] as const).map((word) =>
    threefry(
      word,
      [withTrailingAxes(key0, 1), withTrailingAxes(key1, 1)],
      [iota([count], 0, "u32"), scalar(streams.split, "u32")],
    ),
  );
  return stack(words, -1);
}

/** Key number `index` of keys [count, 2] as [2]. */
export function keyAt(keys: Tensor, index: number): Tensor {
  return reshape(slice(keys, [[index, index + 1]]), [2]);
}

/**
 * A key for each value of `data`: [.., 2] and u32 or i32 [..] (or a number) give [.., 2]. Shapes broadcast, so that one key and
 * N image indices give N keys.
 */
export function foldIn(key: Tensor, data: Tensor | number): Tensor {
  const words = keyWords("foldIn", key);
  const counter = typeof data === "number" ? scalar(data, "u32") : cast(data, "u32");
  return stack(
    ([0, 1] as const).map((word) => threefry(word, words, [counter, scalar(streams.foldIn, "u32")])),
    -1,
  );
}
