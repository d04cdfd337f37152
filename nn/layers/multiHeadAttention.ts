import { EvenkeelError, permute, reshape, type Tensor } from "../../engine/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import { type AttentionOptions, scaledDotProductAttention } from "./attention.ts";
import { describeLinear, linear, type LinearParameters } from "./linear.ts";

/** Linear layers that make queries, keys and values, and one behind all heads. */
export type MultiHeadAttentionParameters<T = Tensor> = {
  readonly query: LinearParameters<T>;
  readonly key: LinearParameters<T>;
  readonly value: LinearParameters<T>;
  readonly output: LinearParameters<T>;
};

/** What attention attends to, beside what it may see. */
export type MultiHeadAttentionOptions = AttentionOptions & {
  /** What keys and values are made of: [N, S, C']. Default: x itself. */
  readonly context?: Tensor;
};

/**
 * The arrays of multi-head attention over `channels`: the first three layers by `xavierUniform`, biases 0. PyTorch draws them so, too, where
 * keys and values have other channels; else it draws the three as one layer, smaller by sqrt(2).
 * @param contextChannels those of what is attended to; default: `channels`.
 * @example
 * ```ts
 * const { query, output } = describeMultiHeadAttention(64, { contextChannels: 32 });
 * console.log(query.weight.shape, output.weight.shape); // [ 64, 64 ] [ 64, 64 ]
 * ```
 */
export function describeMultiHeadAttention(
  channels: number,
  {
    hasBias = true,
    contextChannels = channels,
  }: { readonly hasBias?: boolean; readonly contextChannels?: number } = {},
): MultiHeadAttentionParameters<ParameterSpec> {
  const biasInit = { kind: "constant", value: 0 } as const;
  const layer = (from: number): LinearParameters<ParameterSpec> =>
    describeLinear(from, channels, { hasBias, weightInit: { kind: "xavierUniform" }, biasInit });
  return {
    query: layer(channels),
    key: layer(contextChannels),
    value: layer(contextChannels),
    output: describeLinear(channels, channels, { hasBias, biasInit }),
  };
}

/**
 * Multi-head attention (Vaswani et al. 2017): x [N, L, C] attends to itself, or to a `context` [N, S, C'], in `heads` independent parts of
 * the channels: [N, L, C]. A mask broadcasts to [N, heads, L, S].
 * @throws EvenkeelError `shape` if the channels don't divide into heads, or sizes don't fit.
 * @example
 * ```ts
 * import { randomKey, zeros } from "evenkeel/engine";
 *
 * const parameters = initializeParameters(describeMultiHeadAttention(8), randomKey(0));
 * console.log(multiHeadAttention(zeros([2, 5, 8]), parameters, 2, { isCausal: true }).shape); // [ 2, 5, 8 ]
 * ```
 */
export function multiHeadAttention(
  x: Tensor,
  parameters: MultiHeadAttentionParameters,
  heads: number,
  { context = x, ...options }: MultiHeadAttentionOptions = {},
): Tensor {
  const [channels = 0] = parameters.query.weight.shape;
  if (x.rank !== 3 || context.rank !== 3) {
    throw new EvenkeelError(
      "shape",
      `multiHeadAttention: x [${x.shape.join(", ")}] and context [${context.shape.join(", ")}], expected [N, L, C] and [N, S, C'].`,
    );
  }
  if (!Number.isInteger(heads) || heads < 1 || channels % heads !== 0) {
    throw new EvenkeelError("shape", `multiHeadAttention: ${channels} channels don't divide into ${heads} heads.`);
  }
  /** [N, L, C] to [N, heads, L, C / heads]. */
  const inHeads = (y: Tensor): Tensor => {
    const [count = 0, length = 0] = y.shape;
    return permute(reshape(y, [count, length, heads, channels / heads]), [0, 2, 1, 3]);
  };
  const attended = scaledDotProductAttention(
    inHeads(linear(x, parameters.query)),
    inHeads(linear(context, parameters.key)),
    inHeads(linear(context, parameters.value)),
    options,
  );
  const [count = 0, length = 0] = x.shape;
  return linear(reshape(permute(attended, [0, 2, 1, 3]), [count, length, channels]), parameters.output);
}
