import { EvenkeelError } from "../../engine/index.ts";
import { ImageOrder } from "../data/index.ts";

/**
 * `size` different numbers below `count`, as a function of the seed and the number of the draw alone.
 * @throws EvenkeelError `value` if there aren't so many.
 * @example console.log(chooseIndices(100, 3, 0).length); // 3
 */
export function chooseIndices(count: number, size: number, seed: number, draw = 0): Uint32Array {
  if (size > count) throw new EvenkeelError("value", `can't choose ${size} of ${count}.`);
  return new ImageOrder(seed, count).indices(draw * count, size);
}
