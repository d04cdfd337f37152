import {
  chooseIndices,
  FeatureCollector,
  type FeatureExtractor,
  type FeatureSet,
  requireSameSpace,
} from "../../diffusion/metrics/index.ts";
import type { ImageDataset } from "../../diffusion/data/index.ts";
import { isStatisticsFile, readStatistics } from "../../diffusion/metrics/node.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { readData } from "../readData.ts";
import type { FeatureParts } from "./featureParts.ts";
import { imageSource, type OnImages, type PictureSource } from "./pictureSource.ts";

export type CollectOptions = {
  /** Vectors kept for the metrics that need them; the Fréchet distance needs none. */
  readonly kept: number;
  /** Pictures at a time. */
  readonly batch: number;
  readonly onImages: OnImages;
};

/** The features of a source's pictures; disposes of it. With parts those that are kept are taken, and the others kept. */
export async function featuresOf(
  extractor: FeatureExtractor,
  source: PictureSource,
  { kept, batch, onImages }: CollectOptions,
  parts?: { readonly of: FeatureParts; readonly set: number },
): Promise<FeatureSet> {
  const collector = new FeatureCollector(extractor, Math.min(kept, source.count));
  const tell = (): void => onImages(source.name, collector.count, source.count);
  try {
    if (parts === undefined) {
      for await (const { pixels, shape } of source.pictures(0, source.count, batch)) {
        await collector.add(pixels, shape);
        tell();
      }
    } else {
      for await (const vectors of parts.of.vectors(source, parts.set)) {
        await collector.addVectors(vectors);
        tell();
      }
    }
    return await collector.finish(source.name);
  } finally {
    source.dispose();
  }
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
  return featuresOf(extractor, imageSource(dataset, chooseIndices(dataset.count, dataset.count, 0)), options);
}

/** How many pictures `referenceSet` would have. */
export async function referenceCount(path: string): Promise<number> {
  return isStatisticsFile(path) ? (await readStatistics(path)).statistics.count : (await readData(path)).count;
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
