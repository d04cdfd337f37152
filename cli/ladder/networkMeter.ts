import { chooseIndices, type FeatureExtractor, type FeatureSet, MetricMeter } from "../../diffusion/metrics/index.ts";
import { type ImageDataset, seenLabels, type SeenLabels } from "../../diffusion/data/index.ts";
import type { NetworkConfig } from "../../diffusion/network/index.ts";
import { gridRows, GridSampler } from "../../diffusion/run/index.ts";
import { writePng } from "../../diffusion/sample/node.ts";
import type { Device } from "../../engine/index.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { type CollectOptions, featuresOf } from "../metrics/featureSets.ts";
import { imageSource, networkSource } from "../metrics/pictureSource.ts";
import { HeldOutMeter } from "../runs/heldOutMeter.ts";

/** What all networks of a ladder are measured against. */
export type Yardstick = {
  readonly validation: ImageDataset;
  /** Noise levels, the same for all configurations. */
  readonly sigmas: readonly number[];
  readonly extractor: FeatureExtractor;
  readonly meter: MetricMeter;
  readonly samples: number;
  readonly steps: number;
};

/** Images that go through the network at once; as many as in the sampler of grids, so that one program serves both. */
const batch = 24;
const collecting: CollectOptions = { kept: 0, batch, onImages: () => undefined };

/** Measures one network with one set of weights after the other; programs are compiled once. */
export class NetworkMeter {
  readonly #config: NetworkConfig;
  readonly #yardstick: Yardstick;
  readonly #heldOut: HeldOutMeter;
  readonly #sampler: GridSampler;
  readonly #seenLabels: SeenLabels | null;

  constructor(config: NetworkConfig, device: Device, yardstick: Yardstick) {
    this.#config = config;
    this.#yardstick = yardstick;
    this.#heldOut = new HeldOutMeter(config, device, yardstick.validation, yardstick.sigmas);
    const scale = Math.max(1, Math.floor(32 / config.unet.imageResolution));
    this.#seenLabels = seenLabels(yardstick.validation);
    const rows = gridRows(config.unet.labelDim, this.#seenLabels, 8);
    this.#sampler = new GridSampler(config, device, { rows, columns: 8, steps: yardstick.steps, scale });
  }

  /** The weighted denoising error of the held-out images, mean over noise levels. */
  async error(weights: NamedParameters): Promise<number> {
    return (await this.#heldOut.measure(weights)).error;
  }

  /** The Fréchet distance of samples. */
  async distance(weights: NamedParameters): Promise<number> {
    const { extractor, meter, samples, steps } = this.#yardstick;
    const denoiser = await this.#sampler.denoiser(weights);
    const network = { config: this.#config, denoiser, seenLabels: this.#seenLabels };
    const settings = { net: "samples", steps, networkBatch: batch };
    const set = await featuresOf(extractor, networkSource(network, settings, 0, samples), collecting);
    return distanceTo(meter, set);
  }

  /** Writes a picture of samples, a row for each class (or ten of them). */
  async picture(path: string, weights: NamedParameters): Promise<void> {
    await writePng(path, (await this.#sampler.draw(weights)).picture);
  }

  dispose(): void {
    this.#heldOut.dispose();
    this.#sampler.dispose();
  }
}

/** The data's own side of the Fréchet distance, and what as many images of the data themselves would get; null if there are too few. */
export async function meterOf(
  extractor: FeatureExtractor,
  dataset: ImageDataset,
  samples: number,
): Promise<{ readonly meter: MetricMeter; readonly floor: number | null }> {
  const setOf = (indices: Uint32Array): Promise<FeatureSet> =>
    featuresOf(extractor, imageSource(dataset, indices), collecting);
  const order = chooseIndices(dataset.count, dataset.count, 0);
  const meter = new MetricMeter(await setOf(order));
  if (dataset.count < 2 * samples) return { meter, floor: null };
  const others = new MetricMeter(await setOf(order.subarray(samples)));
  return { meter, floor: await distanceTo(others, await setOf(order.subarray(0, samples))) };
}

async function distanceTo(meter: MetricMeter, set: FeatureSet): Promise<number> {
  return (await meter.measure(set, ["frechet"])).values.frechet ?? Number.NaN;
}
