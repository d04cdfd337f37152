import { conv2d, type Conv2dOptions, type Tensor } from "../../engine/index.ts";
import { addBias } from "../classic/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import { describeWeights, type LinearParameters, type WeightOptions } from "./linear.ts";

/**
 * The arrays of a convolution: `weight` [out, in / groups, kh, kw] and `bias` [out].
 * @param kernel its size [kh, kw], or one number for both.
 * @example
 * ```ts
 * const { weight, bias } = describeConvolution(3, 16, [3, 5]);
 * console.log(weight.shape, bias?.shape); // [ 16, 3, 3, 5 ] [ 16 ]
 * ```
 */
export function describeConvolution(
  inChannels: number,
  outChannels: number,
  kernel: number | readonly [number, number],
  { groups = 1, ...options }: WeightOptions & { readonly groups?: number } = {},
): LinearParameters<ParameterSpec> {
  const [height, width] = typeof kernel === "number" ? [kernel, kernel] : kernel;
  return describeWeights([outChannels, inChannels / groups, height, width], options);
}

/**
 * `conv2d` and a bias for each channel: x [N, in, H, W] to [N, out, H', W'].
 * @throws EvenkeelError as `conv2d`.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const parameters = { weight: tensor([[[[-1, 1]]]]), bias: tensor([10]) };
 * const y = convolution(tensor([[[[0, 1, 4]]]]), parameters);
 * console.log(y.shape, await y.reshape([-1]).array()); // [ 1, 1, 1, 2 ] [ 11, 13 ]
 * ```
 */
export function convolution(x: Tensor, { weight, bias }: LinearParameters, options: Conv2dOptions = {}): Tensor {
  const output = conv2d(x, weight, options);
  return bias === undefined ? output : addBias(output, bias);
}
