import { divide, randomBernoulli, type Tensor, where } from "../../engine/index.ts";
import type { NetworkRun } from "../../nn/index.ts";

/**
 * Inverted dropout for each image and layer by keys. Layers are numbered as they first come and known by name, so that a network which
 * is run twice with the same `NetworkRun` drops the same activations twice.
 * @param keysOf keys [N, 2] of the images in a layer.
 * @example
 * ```ts
 * import { foldIn, ones, tensor } from "evenkeel/engine";
 *
 * const images = tensor(Uint32Array.of(0, 1, 0, 2), { shape: [2, 2] });
 * const { dropout } = imageDropout((layer) => foldIn(images, layer));
 * console.log(await dropout?.(ones([2, 4]), 0.5, "enc.4x4_block0").array()); // [ [ 2, 2, 0, 2 ], [ 2, 2, 2, 0 ] ]
 * ```
 */
export function imageDropout(keysOf: (layer: number) => Tensor): Required<Pick<NetworkRun, "dropout">> {
  const numbers = new Map<string, number>();
  return {
    dropout: (x, probability, layer) => {
      const number = numbers.get(layer) ?? numbers.size;
      numbers.set(layer, number);
      const dropped = randomBernoulli(keysOf(number), x.shape.slice(1), probability);
      return where(dropped, 0, divide(x, 1 - probability));
    },
  };
}
