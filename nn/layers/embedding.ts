import { gather, type Tensor } from "../../engine/index.ts";
import type { Initializer } from "../initializers.ts";
import type { ParameterSpec } from "../parameters.ts";

/** A table of vectors [count, channels]. */
export type EmbeddingTable<T = Tensor> = { readonly weight: T };

/**
 * A table of `count` vectors, by default of N(0, 1).
 * @example console.log(describeEmbedding(1000, 64).weight.shape); // [ 1000, 64 ]
 */
export function describeEmbedding(
  count: number,
  channels: number,
  weightInit: Initializer = { kind: "normal", scale: 1 },
): EmbeddingTable<ParameterSpec> {
  return { weight: { shape: [count, channels], role: "weight", init: weightInit } };
}

/**
 * The vectors with these numbers: index i32 [..] to [.., channels]. A number outside of the table is an error when the program runs.
 * @throws EvenkeelError `dtype` for an index that isn't i32.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const table = { weight: tensor([[1, 2], [3, 4], [5, 6]]) };
 * console.log(await embedding(tensor([2, 0], { dtype: "i32" }), table).array()); // [ [ 5, 6 ], [ 1, 2 ] ]
 * ```
 */
export function embedding(index: Tensor, { weight }: EmbeddingTable): Tensor {
  return gather(weight, index);
}
