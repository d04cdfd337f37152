import { concat, cos, EvenkeelError, expandDims, multiply, sin, type Tensor, tensor } from "../../engine/index.ts";

/** The slowest feature has this fraction of the fastest one's frequency, nearly. */
const slowest = 1 / 10000;

/**
 * Sinusoidal features of x [N]: cosines, then sines, of x times 10000^(-i / (channels / 2)): [N, channels]. Vaswani et al. 2017, in
 * the order of EDM's published code. @throws EvenkeelError `value` for an odd number of channels.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await positionalFeatures(tensor([0]), 4).array()); // [ [ 1, 1, 0, 0 ] ]
 * ```
 */
export function positionalFeatures(x: Tensor, channels: number): Tensor {
  if (!Number.isInteger(channels) || channels < 2 || channels % 2 !== 0) {
    throw new EvenkeelError("value", `positionalFeatures: ${channels} channels, expected an even number above 0.`);
  }
  const half = channels / 2;
  const frequencies = tensor(Float32Array.from({ length: half }, (_, i) => slowest ** (i / half)));
  const angles = multiply(expandDims(x, 1), frequencies);
  return concat([cos(angles), sin(angles)], 1);
}
