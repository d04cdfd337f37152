import { multiply, type Tensor } from "../../engine/index.ts";
import { addBias } from "../classic/index.ts";
import { convolve } from "../convolve.ts";
import { describeMpConv, mpConv, type WeightParameters } from "../mp/index.ts";
import type { Initializer } from "../initializers.ts";
import type { ParameterSpec } from "../parameters.ts";
import type { UNetSwitches } from "./switches.ts";

/** A linear layer's or convolution's arrays. */
export type LayerParameters<T = Tensor> = WeightParameters<T> & { readonly bias?: T };

/** What is particular about a layer. */
export type LayerOptions = {
  /** The last of a branch, or of the network. */
  readonly isLast?: boolean;
  /** Its inputs are labels. */
  readonly isLabel?: boolean;
};

/**
 * A layer under the switches `weightNorm`, `forcedNorm`, `bias` and `zeroInit`. `kernel` is [] for a linear layer. Plain weights and
 * biases are uniform within 1 / sqrt(fan-in).
 * @example
 * ```ts
 * const { weight, bias } = describeLayer(configurationSwitches.A, 4, 6, [3, 3], { isLast: true });
 * console.log(weight.shape, weight.init, bias?.shape); // [ 6, 4, 3, 3 ] { kind: 'constant', value: 0 } [ 6 ]
 * ```
 */
export function describeLayer(
  switches: UNetSwitches,
  inChannels: number,
  outChannels: number,
  kernel: readonly number[],
  { isLast = false, isLabel = false }: LayerOptions = {},
): LayerParameters<ParameterSpec> {
  const bound = 1 / Math.sqrt(kernel.reduce((product, extent) => product * extent, inChannels));
  const start: Initializer =
    isLast && switches.zeroInit ? { kind: "constant", value: 0 } : { kind: "uniform", low: -bound, high: bound };
  const layer = describeMpConv(inChannels, outChannels, kernel, switches.forcedNorm);
  // Of a one-hot label one weight for each output counts, whatever the number of classes.
  const isStandardNormal = switches.weightNorm || (isLabel && !switches.labelScaling);
  return {
    weight: isStandardNormal ? layer.weight : { ...layer.weight, init: start },
    // The embedding of no label is zero.
    ...(switches.bias && !isLabel ? { bias: { shape: [outChannels], role: "bias", init: start } } : {}),
  };
}

/**
 * A layer of `describeLayer`: normalized or plain weights, times a gain, plus a bias if it has one.
 * @example
 * ```ts
 * import { randomKey, randomNormal } from "evenkeel/engine";
 *
 * const layer = initializeParameters(describeLayer(configurationSwitches.G, 4, 6, [3, 3]), randomKey(0));
 * console.log(applyLayer(configurationSwitches.G, randomNormal(randomKey(1), [1, 4, 8, 8]), layer).shape); // [ 1, 6, 8, 8 ]
 * ```
 */
export function applyLayer(
  switches: UNetSwitches,
  x: Tensor,
  { weight, bias }: LayerParameters,
  gain?: Tensor,
): Tensor {
  const output = switches.weightNorm
    ? mpConv(x, weight, gain)
    : convolve(x, gain === undefined ? weight : multiply(weight, gain), "applyLayer");
  return bias === undefined ? output : addBias(output, bias);
}
