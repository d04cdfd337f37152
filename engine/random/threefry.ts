import { EvenkeelError } from "../errors.ts";
import { makeNode } from "../graph/graph.ts";
import { broadcastShapes, formatShape } from "../graph/shape.ts";
import { isTensor, Tensor } from "../graph/tensor.ts";
import { broadcastTo, expandDims, slice, squeeze } from "../ops/movement.ts";

/**
 * One word of the counter-based generator Threefry-2x32 with 20 rounds: a keyed bijection of 64 bits, two words in, two out.
 * All operands are u32 and broadcast. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3"
 * (SC 2011).
 * @example
 * ```ts
 * const zero = scalar(0, "u32");
 * console.log(await threefry(0, [zero, zero], [zero, zero]).item()); // 1797259609
 * ```
 */
export function threefry(word: 0 | 1, key: readonly [Tensor, Tensor], counter: readonly [Tensor, Tensor]): Tensor {
  const operands = [...key, ...counter] as const;
  const shape = operands.reduce<readonly number[]>((all, x) => broadcastShapes("threefry", all, x.shape), []);
  const [key0, key1, counter0, counter1] = operands;
  const fit = (x: Tensor) => broadcastTo(x, shape).node;
  return new Tensor(makeNode("threefry", [fit(key0), fit(key1), fit(counter0), fit(counter1)], { word }));
}

/** The two words of a key [.., 2], each [..]. @throws EvenkeelError if it isn't u32 with a last axis of 2. */
export function keyWords(operation: string, key: Tensor): [Tensor, Tensor] {
  // Callers may be JavaScript, and a seed is easily taken for a key.
  if (!isTensor(key)) {
    throw new EvenkeelError("value", `${operation}: ${String(key)} is not a key. Make one with randomKey(seed).`);
  }
  if (key.dtype !== "u32" || key.shape.at(-1) !== 2) {
    throw new EvenkeelError(
      "shape",
      `${operation}: a key is u32 [.., 2], got ${key.dtype} ${formatShape(key.shape)}. Make one with randomKey(seed).`,
    );
  }
  const word = (i: number): Tensor => squeeze(slice(key, [...key.shape.slice(0, -1).map(() => null), [i, i + 1]]), -1);
  return [word(0), word(1)];
}

/** x [..] with `count` new axes of size 1 at the end. */
export function withTrailingAxes(x: Tensor, count: number): Tensor {
  let result = x;
  for (let i = 0; i < count; i++) result = expandDims(result, -1);
  return result;
}
