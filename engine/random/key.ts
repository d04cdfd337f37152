/**
 * Keys: the state of the generator, as a value. The same key always gives the same numbers; new keys are derived, never
 * advanced. The counter's second word keeps the uses of a key apart.
 */
import { EvenkeelError } from "../errors.ts";
import { checkShape, formatShape } from "../graph/shape.ts";
import { literal, Tensor, tensor } from "../graph/tensor.ts";
import { iota, scalar } from "../ops/creation.ts";
import { cast, requireDtype } from "../ops/elementwise.ts";
import { reshape, slice, stack } from "../ops/movement.ts";
import { keyWords, threefry, withTrailingAxes } from "./threefry.ts";

/** Second counter word by use. */
export const streams = { bits: 0, split: 1, foldIn: 2 } as const;

/**
 * A key u32 [2] of a seed: a whole number from 0 to 2^53. @throws EvenkeelError `value`.
 * @example console.log(await randomUniform(randomKey(7), [2]).array()); // [ 0.84411, 0.42616 ]
 */
export function randomKey(seed: number): Tensor {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new EvenkeelError("value", `randomKey: seed ${seed} is not a whole number from 0 to 2^53.`);
  }
  return tensor(new Uint32Array([Math.floor(seed / 2 ** 32), seed % 2 ** 32]));
}

/**
 * `count` independent keys [.., count, 2] of a key [.., 2].
 * @example console.log(splitKey(randomKey(0), 3).shape); // [ 3, 2 ]
 */
export function splitKey(key: Tensor, count: number): Tensor {
  const [key0, key1] = keyWords("splitKey", key);
  const counts = checkShape("splitKey", [count]);
  const words = ([0, 1] as const).map((word) =>
    threefry(
      word,
      [withTrailingAxes(key0, 1), withTrailingAxes(key1, 1)],
      [iota(counts, 0, "u32"), scalar(streams.split, "u32")],
    ),
  );
  return stack(words, -1);
}

/**
 * Key number `index` of keys [count, 2] as [2]. @throws EvenkeelError `shape` or `range`.
 * @example
 * ```ts
 * const keys = splitKey(randomKey(0), 2);
 * console.log(keyAt(keys, 1).shape, keyAt(keys, 1).dtype); // [ 2 ] u32
 * ```
 */
export function keyAt(keys: Tensor, index: number): Tensor {
  keyWords("keyAt", keys);
  const [count] = keys.shape;
  if (keys.rank !== 2 || count === undefined) {
    throw new EvenkeelError("shape", `keyAt: keys are u32 [count, 2], got ${formatShape(keys.shape)}.`);
  }
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new EvenkeelError("range", `keyAt: index ${index} is not a whole number from 0 to ${count - 1}.`);
  }
  return reshape(slice(keys, [[index, index + 1]]), [2]);
}

/**
 * A key for each value of `data`: [.., 2] and u32 or i32 [..] (or a number) give [.., 2]. Shapes broadcast, so that one key and
 * N image indices give N keys. A negative i32 counts as the u32 of the same bits.
 * @throws EvenkeelError `dtype` for other data, `value` for a number that isn't a u32.
 * @example
 * ```ts
 * const noise = (step: number): Tensor => randomNormal(foldIn(randomKey(0), step), [2]);
 * console.log(await equal(noise(1), noise(1)).array(), await equal(noise(1), noise(2)).array()); // [ true, true ] [ false, false ]
 * ```
 */
export function foldIn(key: Tensor, data: Tensor | number): Tensor {
  const words = keyWords("foldIn", key);
  if (typeof data !== "number") requireDtype("foldIn (data)", data.dtype, ["u32", "i32"]);
  const counter = typeof data === "number" ? literal("foldIn", data, "u32") : cast(data, "u32");
  return stack(
    ([0, 1] as const).map((word) => threefry(word, words, [counter, scalar(streams.foldIn, "u32")])),
    -1,
  );
}
