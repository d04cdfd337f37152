import {
  choose,
  DenoiserProgram,
  FeatureCollector,
  type FeatureExtractor,
  frechetDistance,
  type FrechetReference,
  frechetReference,
  generateImages,
  type ImageDataset,
  imageGrid,
  type NetworkConfig,
  type Picture,
  selectImages,
  toPixels,
  Validator,
  wholeBatch,
} from "../../diffusion/index.ts";
import type { Device } from "../../engine/index.ts";
import type { NamedParameters } from "../../nn/index.ts";

/** What all networks of a ladder are measured against. */
export type Yardstick = {
  readonly validation: ImageDataset;
  /** Noise levels, the same for all configurations. */
  readonly sigmas: readonly number[];
  readonly extractor: FeatureExtractor;
  readonly reference: FrechetReference;
  readonly samples: number;
  readonly steps: number;
};

/** Images that go through the network at once. */
const batch = 32;
/** Images of the picture of samples. */
const pictured = 64;

/** Measures one network with one set of weights after the other; programs are compiled once. */
export class NetworkMeter {
  readonly #config: NetworkConfig;
  readonly #device: Device;
  readonly #yardstick: Yardstick;
  readonly #validator: Validator;
  #program: DenoiserProgram | undefined;

  constructor(config: NetworkConfig, device: Device, yardstick: Yardstick) {
    this.#config = config;
    this.#device = device;
    this.#yardstick = yardstick;
    this.#validator = new Validator(config, device, Math.min(batch, yardstick.validation.count));
  }

  /** The weighted denoising error of the held-out images, mean over noise levels. */
  async error(weights: NamedParameters): Promise<number> {
    const { validation, sigmas } = this.#yardstick;
    const errors = await this.#validator.measure(weights, wholeBatch(validation), sigmas);
    return errors.reduce((sum, { error }) => sum + error, 0) / errors.length;
  }

  /** The Fréchet distance of samples, and a picture of the first ones. */
  async sample(weights: NamedParameters): Promise<{ readonly distance: number; readonly picture: Picture }> {
    const { extractor, reference, samples, steps } = this.#yardstick;
    if (this.#program === undefined) {
      this.#program = await DenoiserProgram.create(this.#config, weights, this.#device);
    } else await this.#program.replaceWeights(weights);
    const program = this.#program;
    const { imageChannels, imageResolution, labelDim } = this.#config.unet;
    const imageShape = [imageChannels, imageResolution, imageResolution];
    const collector = new FeatureCollector(extractor, 0);
    const kept: Uint8Array[] = [];
    const batches = generateImages({
      denoise: (x, sigma, labels) => program.denoise(x, sigma, labels),
      imageShape,
      labelDim,
      seeds: Array.from({ length: samples }, (_, i) => i),
      steps,
      batch,
      networkBatch: batch,
      device: this.#device,
    });
    for await (const { images, shape } of batches) {
      const pixels = toPixels(images);
      await collector.add(pixels, shape);
      if (kept.length * batch < pictured) kept.push(pixels);
    }
    const pixels = Uint8Array.from(kept.flatMap((part) => [...part])).subarray(
      0,
      pictured * imageShape.reduce((a, b) => a * b),
    );
    const count = pixels.length / imageShape.reduce((a, b) => a * b);
    return {
      distance: frechetDistance(collector.finish("samples").statistics, reference).distance,
      picture: imageGrid(pixels, [count, ...imageShape], {
        columns: 8,
        scale: Math.max(1, Math.floor(32 / imageResolution)),
      }),
    };
  }

  dispose(): void {
    this.#validator.dispose();
    this.#program?.dispose();
  }
}

/** The data's own side of the Fréchet distance, and what as many images of the data themselves would get; null if there are too few. */
export async function referenceOf(
  extractor: FeatureExtractor,
  dataset: ImageDataset,
  samples: number,
): Promise<{ readonly reference: FrechetReference; readonly floor: number | null }> {
  const statistics = async (indices: Uint32Array) => {
    const collector = new FeatureCollector(extractor, 0);
    const { channels, resolution } = dataset;
    for (let from = 0; from < indices.length; from += batch) {
      const part = selectImages(dataset, indices.subarray(from, from + batch));
      await collector.add(part.pixels, [part.count, channels, resolution, resolution]);
    }
    return collector.finish(dataset.name).statistics;
  };
  const order = choose(dataset.count, dataset.count, 0);
  const reference = frechetReference(await statistics(order));
  if (dataset.count < 2 * samples) return { reference, floor: null };
  const others = frechetReference(await statistics(order.subarray(samples)));
  return { reference, floor: frechetDistance(await statistics(order.subarray(0, samples)), others).distance };
}
