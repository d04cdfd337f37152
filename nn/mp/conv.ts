import { multiply, type Tensor } from "../../engine/index.ts";
import { convolve } from "../convolve.ts";
import type { ParameterSpec } from "../parameters.ts";
import { normalize } from "./normalize.ts";

/** A layer that is one array of weights: linear [out, in], or convolution [out, in, kh, kw]. */
export type WeightParameters<T = Tensor> = { readonly weight: T };

/**
 * A magnitude-preserving layer's weights: N(0, 1). `kernel` is [] for a linear layer. `isForced`: training keeps the stored weights
 * at unit magnitude by force.
 * @example console.log(describeMpConv(4, 6, [3, 3]).weight.shape); // [ 6, 4, 3, 3 ]
 */
export function describeMpConv(
  inChannels: number,
  outChannels: number,
  kernel: readonly number[],
  isForced = true,
): WeightParameters<ParameterSpec> {
  return {
    weight: {
      shape: [outChannels, inChannels, ...kernel],
      role: "weight",
      init: { kind: "normal", scale: 1 },
      ...(isForced ? { isForced } : {}),
    },
  };
}

/**
 * Linear layer (x [N, in]) or convolution with zeros around (x [N, in, H, W], odd kernels) whose weights are normalized for each
 * output and divided by sqrt(fan-in), times `gain`: unit magnitude in, unit magnitude out. Derivatives pass through the
 * normalization. Karras et al. 2024, Eq. 47 and 66.
 * @throws EvenkeelError `shape` if weight is neither [out, in] nor [out, in, kh, kw] with odd kh, kw.
 * @example
 * ```ts
 * import { randomKey, randomNormal } from "evenkeel/engine";
 *
 * const [x, weight] = [randomNormal(randomKey(0), [1, 4, 8, 8]), randomNormal(randomKey(1), [6, 4, 3, 3])];
 * console.log(mpConv(x, weight).shape); // [ 1, 6, 8, 8 ]
 * ```
 */
export function mpConv(x: Tensor, weight: Tensor, gain: Tensor | number = 1): Tensor {
  const [, ...fan] = weight.shape;
  const scale = multiply(gain, 1 / Math.sqrt(fan.reduce((product, extent) => product * extent, 1)));
  return convolve(x, multiply(normalize(weight), scale), "mpConv");
}

/**
 * Forced weight normalization: the stored weight itself set to unit magnitude for each output, before each training step
 * and outside of its gradient. Keeps the size of Adam's steps relative to the weights. Karras et al. 2024, section 2.3.
 * @example
 * ```ts
 * import { rootMeanSquare, tensor } from "evenkeel/engine";
 *
 * console.log(await rootMeanSquare(forceNormalize(tensor([[3, 4], [30, 40]])), { axes: 1 }).array()); // [ 0.99997, 0.999997 ]
 * ```
 */
export function forceNormalize(weight: Tensor): Tensor {
  return normalize(weight);
}
