import {
  chooseIndices,
  FeatureCollector,
  type FeatureExtractor,
  type FeatureSet,
  requireSameSpace,
} from "../../diffusion/metrics/index.ts";
import { generateImages, toPixels } from "../../diffusion/sample/index.ts";
import { type ImageDataset, selectImages } from "../../diffusion/data/index.ts";
import { isStatisticsFile, readStatistics } from "../../diffusion/metrics/node.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { readData } from "../readData.ts";
import type { FoundNetwork, LoadedNetwork } from "../sampleSettings.ts";

/** Told how many pictures of a source are done. */
export type OnImages = (source: string, done: number, total: number) => void;

export type CollectOptions = {
  /** Vectors kept for the metrics that need them; the Fréchet distance needs none. */
  readonly kept: number;
  /** Pictures at a time. */
  readonly batch: number;
  readonly onImages: OnImages;
};

/** The features of the images with these numbers. */
export async function featuresOfImages(
  extractor: FeatureExtractor,
  dataset: ImageDataset,
  indices: Uint32Array,
  { kept, batch, onImages }: CollectOptions,
): Promise<FeatureSet> {
  const collector = new FeatureCollector(extractor, Math.min(kept, indices.length));
  const { channels, resolution, name } = dataset;
  for (let begin = 0; begin < indices.length; begin += batch) {
    const part = selectImages(dataset, indices.subarray(begin, begin + batch));
    await collector.add(part.pixels, [part.count, channels, resolution, resolution]);
    onImages(name, collector.count, indices.length);
  }
  return collector.finish(name);
}

/** What to compare with: a file of statistics, or a data set, whose pictures are all taken. */
export async function referenceSet(
  path: string,
  extractor: FeatureExtractor,
  options: CollectOptions,
): Promise<FeatureSet> {
  if (isStatisticsFile(path)) {
    const stored = await readStatistics(path);
    // Before minutes are spent on pictures.
    requireSameSpace(stored, extractor);
    return stored;
  }
  const dataset = await readData(path);
  return featuresOfImages(extractor, dataset, chooseIndices(dataset.count, dataset.count, 0), options);
}

/**
 * Random parts of a data set, `repeats` of `num` images without any in common; by default they take all.
 * @throws EvenkeelError `value` if there are fewer images.
 */
export function imageParts(
  { name, count }: ImageDataset,
  num: number | undefined,
  repeats: number,
  seed: number,
): readonly Uint32Array[] {
  const each = num ?? Math.floor(count / repeats);
  if (each * repeats > count || each < 2) {
    const wanted = repeats === 1 ? `${each}` : `${repeats} times ${num ?? "2 or more"}`;
    throw new EvenkeelError(
      "value",
      `metrics: ${name} has ${count} images, and ${wanted} are wanted; see --num and --repeats.`,
    );
  }
  const order = chooseIndices(count, each * repeats, seed);
  return Array.from({ length: repeats }, (_, i) => order.subarray(i * each, (i + 1) * each));
}

export type GenerationSettings = {
  readonly net: string;
  readonly steps: number;
  readonly networkBatch: number;
};

/** The features of images that a network makes of `count` seeds from `firstSeed` on, by the usual sampler without guidance. */
export async function featuresOfNetwork(
  extractor: FeatureExtractor,
  network: Pick<FoundNetwork & LoadedNetwork, "config" | "denoiser" | "seenLabels">,
  { net, steps, networkBatch }: GenerationSettings,
  firstSeed: number,
  count: number,
  { kept, batch, onImages }: CollectOptions,
): Promise<FeatureSet> {
  const { imageChannels, imageResolution, labelDim } = network.config.unet;
  const collector = new FeatureCollector(extractor, Math.min(kept, count));
  const batches = generateImages({
    denoiser: network.denoiser,
    imageShape: [imageChannels, imageResolution, imageResolution],
    labelDim,
    seeds: Array.from({ length: count }, (_, i) => firstSeed + i),
    drawFrom: network.seenLabels,
    steps,
    batch,
    networkBatch,
  });
  for await (const { images, shape } of batches) {
    await collector.add(toPixels(images), shape);
    onImages(net, collector.count, count);
  }
  return collector.finish(net);
}
