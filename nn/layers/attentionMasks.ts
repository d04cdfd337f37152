import { arange, EvenkeelError, less, lowerTriangle, reshape, type Tensor } from "../../engine/index.ts";

/**
 * What query i of a sequence may see of keys: those up to i. bool [queries, keys].
 * @example console.log(await causalMask(2, 3).array()); // [ [ true, false, false ], [ true, true, false ] ]
 */
export function causalMask(queries: number, keys = queries): Tensor {
  return lowerTriangle(queries, keys, "bool");
}

/**
 * Which keys of sequences that are filled up to one length are theirs: the first `lengths` of each. i32 [N] to bool [N, 1, 1, keys],
 * which fits logits [N, heads, queries, keys].
 * @throws EvenkeelError `shape` or `dtype` unless lengths are i32 [N].
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const mask = paddingMask(tensor([1, 3], { dtype: "i32" }), 3);
 * console.log(await mask.reshape([2, 3]).array()); // [ [ true, false, false ], [ true, true, true ] ]
 * ```
 */
export function paddingMask(lengths: Tensor, keys: number): Tensor {
  if (lengths.rank !== 1 || lengths.dtype !== "i32") {
    throw new EvenkeelError(
      lengths.rank === 1 ? "dtype" : "shape",
      `paddingMask: lengths are ${lengths.dtype} [${lengths.shape.join(", ")}], expected i32 [N].`,
    );
  }
  return less(arange(keys), reshape(lengths, [lengths.size, 1, 1, 1]));
}
