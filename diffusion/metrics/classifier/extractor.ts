import {
  compile,
  createState,
  type Device,
  EvenkeelError,
  type Shape,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { type NamedParameters, nestParameters } from "../../../nn/index.ts";
import { imageExtents } from "../imageExtents.ts";
import type { FeatureExtractor } from "../features.ts";
import { classifierFeatures, type ClassifierParameters, type ClassifierWeights } from "./network.ts";

/** Images in the network at a time, always exactly so many: an image's features don't depend on the others. */
const networkBatch = 16;

/**
 * The features of a trained classifier: its last layer before the logits.
 * @param fingerprint of the weights.
 */
export async function classifierExtractor(
  { config, weights }: ClassifierWeights,
  fingerprint: string,
  description: string,
  device: Device,
): Promise<FeatureExtractor> {
  const { imageChannels, imageResolution: size, channels } = config;
  const dimension = channels.at(-1) ?? 0;
  const state = await createState<NamedParameters>(weights, device);
  const run = compile(
    (named: NamedParameters, x: Tensor) => classifierFeatures(config, nestParameters<ClassifierParameters>(named), x),
    { device },
  );
  const extract = async (images: Uint8Array, shape: Shape): Promise<Float32Array> => {
    const extents = imageExtents("classifier", images, shape);
    if (extents.channels !== imageChannels || extents.height !== size || extents.width !== size) {
      throw new EvenkeelError(
        "shape",
        `features classifier: images are ${shape.slice(1).join("x")}, and it was trained on ${imageChannels}x${size}x${size}. ` +
          "npx evenkeel dataset convert resizes pictures.",
      );
    }
    const features = new Float32Array(extents.count * dimension);
    const pixels = imageChannels * size * size;
    for (let begin = 0; begin < extents.count; begin += networkBatch) {
      const count = Math.min(networkBatch, extents.count - begin);
      const batch = new Float32Array(networkBatch * pixels);
      for (let i = 0; i < count * pixels; i++) batch[i] = Math.fround((images[begin * pixels + i] ?? 0) / 127.5) - 1;
      const result = await run(state, tensor(batch, { shape: [networkBatch, imageChannels, size, size] }));
      features.set((await result.data("f32")).subarray(0, count * dimension), begin * dimension);
    }
    return features;
  };
  return {
    name: "classifier",
    distanceName: "FD-classifier",
    fingerprint,
    dimension,
    describe: () => description,
    extract,
    dispose: () => {
      run.dispose();
      state.dispose();
    },
  };
}
