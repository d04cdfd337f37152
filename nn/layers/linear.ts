import { add, EvenkeelError, matmul, reshape, type Tensor, transpose } from "../../engine/index.ts";
import type { Initializer } from "../initializers.ts";
import type { ParameterSpec } from "../parameters.ts";

/** Weights [out, in] and, if the layer has one, the bias [out]. */
export type LinearParameters<T = Tensor> = { readonly weight: T; readonly bias?: T };

/** How a layer with weights is made. */
export type WeightOptions = {
  /** Default: true. */
  readonly hasBias?: boolean;
  /** How weights are drawn. Default: uniform within 1 / sqrt(inputs), as in PyTorch. */
  readonly weightInit?: Initializer;
  /** How the bias is drawn. Default: as weights are by default. */
  readonly biasInit?: Initializer;
};

/** The arrays of a layer whose outputs sum over `inputs` numbers each: weights of this shape, [out, ...], and a bias. */
export function describeWeights(
  shape: readonly [number, ...number[]],
  { hasBias = true, weightInit, biasInit }: WeightOptions,
): LinearParameters<ParameterSpec> {
  const [out, ...inputs] = shape;
  const bound = 1 / Math.sqrt(inputs.reduce((product, extent) => product * extent, 1));
  const plain: Initializer = { kind: "uniform", low: -bound, high: bound };
  return {
    weight: { shape, role: "weight", init: weightInit ?? plain },
    ...(hasBias ? { bias: { shape: [out], role: "bias", init: biasInit ?? plain } } : {}),
  };
}

/**
 * The arrays of a linear layer: `weight` [out, in] and `bias` [out].
 * @example
 * ```ts
 * const { weight, bias } = describeLinear(4, 2);
 * console.log(weight.shape, bias?.shape); // [ 2, 4 ] [ 2 ]
 * ```
 */
export function describeLinear(
  inChannels: number,
  outChannels: number,
  options: WeightOptions = {},
): LinearParameters<ParameterSpec> {
  return describeWeights([outChannels, inChannels], options);
}

/**
 * x W' + b over the last axis: x [.., in] to [.., out].
 * @throws EvenkeelError `shape` if the last axis of x isn't what the weights take.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await linear(tensor([1, 2]), { weight: tensor([[1, 0], [1, 1]]), bias: tensor([0, 10]) }).array()); // [ 1, 13 ]
 * ```
 */
export function linear(x: Tensor, { weight, bias }: LinearParameters): Tensor {
  const [outChannels = 0, inChannels = 0] = weight.shape;
  const rowAxes = x.shape.slice(0, -1);
  if (weight.rank !== 2 || x.rank === 0 || x.shape.at(-1) !== inChannels) {
    throw new EvenkeelError(
      "shape",
      `linear: x [${x.shape.join(", ")}] and weight [${weight.shape.join(", ")}] don't fit: expected x [.., in] and weight [out, in].`,
    );
  }
  // All rows in one product, so that the weights' gradient is one too.
  const rows = rowAxes.reduce((product, extent) => product * extent, 1);
  const product = matmul(reshape(x, [rows, inChannels]), transpose(weight));
  return reshape(bias === undefined ? product : add(product, bias), [...rowAxes, outChannels]);
}
