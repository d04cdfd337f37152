import { compile, createState, type Device, type Shape, type Tensor, tensor } from "../../engine/index.ts";
import { type FeatureExtractor, imageExtents } from "../metrics/index.ts";
import { applyNetwork } from "./apply.ts";
import type { LoadedNetwork } from "./network.ts";
import { imagePreparation } from "./prepareImages.ts";

/** What an extractor tells of itself. */
export type ExtractorIdentity = {
  readonly name: string;
  readonly distanceName: string;
  readonly fingerprint: string;
  readonly description: string;
};

/**
 * The features of a convolutional network, computed on a device by one compiled program. Images are resized bilinearly with aligned
 * corners and scaled to 0..1.
 * @param batch images in the network at a time, always exactly so many: an image's features don't depend on the others.
 * @throws EvenkeelError `shape` at the first extraction if the weights don't fit the network.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 *
 * const mean = { kind: "averagePool", name: "mean", input: "x", window: [2, 2], stride: [2, 2], padding: "same" } as const;
 * const network = { size: 2, input: "x", steps: [{ ...mean, window: [2, 2], stride: [2, 2] }], output: "mean", dimension: 3 } satisfies FeatureNetwork;
 * const identity = { name: "colour", distanceName: "distance of colours", fingerprint: "1", description: "the mean colour" };
 * const extractor = await networkExtractor({ network, weights: new Map() }, identity, 1, await getDevice("wasm"));
 * const picture = Uint8Array.of(0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0);
 * console.log(await extractor.extract(picture, [1, 3, 2, 2])); // Float32Array(3) [ 0.5, 1, 0 ]
 * extractor.dispose();
 * ```
 */
export async function networkExtractor(
  { network, weights }: LoadedNetwork,
  { description, ...identity }: ExtractorIdentity,
  batch: number,
  device: Device,
): Promise<FeatureExtractor> {
  const { size, dimension } = network;
  const arrays = Object.fromEntries(
    Array.from(weights, ([name, { shape, data }]) => [name, tensor(data, { shape })] as const),
  );
  const state = await createState<Record<string, Tensor>>(arrays, device);
  const run = compile((named: Record<string, Tensor>, x: Tensor) => applyNetwork(network, named, x), { device });
  const format = { size, resize: "bilinear-aligned", mean: [0, 0, 0], deviation: [255, 255, 255] } as const;
  const extract = async (images: Uint8Array, shape: Shape): Promise<Float32Array> => {
    const extents = imageExtents(identity.name, images, shape);
    const prepare = imagePreparation(extents, format);
    const features = new Float32Array(extents.count * dimension);
    for (let begin = 0; begin < extents.count; begin += batch) {
      const count = Math.min(batch, extents.count - begin);
      const x = tensor(prepare(images, begin, count, batch), { shape: [batch, 3, size, size] });
      const result = await (await run(state, x)).data("f32");
      features.set(result.subarray(0, count * dimension), begin * dimension);
    }
    return features;
  };
  return {
    ...identity,
    dimension,
    describe: () => description,
    extract,
    dispose: () => {
      run.dispose();
      state.dispose();
    },
  };
}
