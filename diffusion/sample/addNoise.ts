import {
  add,
  compile,
  type Device,
  EvenkeelError,
  multiply,
  type Shape,
  type Tensor,
  tensor,
} from "../../engine/index.ts";
import { imageKeys, startNoise } from "./imageStreams.ts";

/**
 * Images with noise of level sigma, its standard deviation if it is Gaussian: what a network is asked about at this noise level. The noise of an image is that which its
 * seed begins with in sampling.
 * @param images [N, C, H, W], one for each seed. @param imageShape [C, H, W].
 * @param noiseDf degrees of freedom of the noise that the network removes; 0: Gaussian noise.
 * @throws EvenkeelError `shape` unless there are as many images as seeds; `value` for a seed that is none.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 *
 * const [black, white] = [-1, 1];
 * const noisy = await addNoise(Float32Array.of(black, white), [1, 1, 1], 0.1, [7, 7], await getDevice("wasm"));
 * console.log(noisy); // Float32Array(2) [ -0.9662, 1.0338 ]
 * ```
 */
export async function addNoise(
  images: Float32Array,
  imageShape: Shape,
  sigma: number,
  seeds: readonly number[],
  device: Device,
  noiseDf = 0,
): Promise<Float32Array> {
  const shape = [seeds.length, ...imageShape];
  const size = shape.reduce((product, length) => product * length, 1);
  if (images.length !== size) {
    throw new EvenkeelError(
      "shape",
      `addNoise: ${images.length} numbers are not images [${shape.join(", ")}], one for each of ${seeds.length} seeds.`,
    );
  }
  const noisy = compile(
    (x: Tensor, level: Tensor, keys: Tensor) => add(x, multiply(level, startNoise(keys, imageShape, noiseDf))),
    { device },
  );
  try {
    const result = await noisy(tensor(images, { shape }), tensor(Float32Array.of(sigma)), imageKeys(seeds));
    return await result.data("f32");
  } finally {
    noisy.dispose();
  }
}
