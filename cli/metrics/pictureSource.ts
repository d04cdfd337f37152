/** Where the pictures come from whose features are taken: a data set, or a network that makes them. */
import { type ImageDataset, selectImages } from "../../diffusion/data/index.ts";
import { ImageGenerator, toPixels } from "../../diffusion/sample/index.ts";
import type { Shape } from "../../engine/index.ts";
import type { FoundNetwork, LoadedNetwork } from "../sampleSettings.ts";

/** Told how many pictures of a source are done. */
export type OnImages = (source: string, done: number, total: number) => void;

/** Pictures u8 [N, C, H, W]. */
export type Pictures = { readonly pixels: Uint8Array; readonly shape: Shape };

/** A row of pictures of which any range can be had. Dispose of it. */
export type PictureSource = {
  readonly name: string;
  readonly count: number;
  /** Pictures number `from` to `to` (not itself), so many at a time. */
  pictures(from: number, to: number, batch: number): AsyncGenerator<Pictures, void, undefined>;
  dispose(): void;
};

/** The images with these numbers. */
export function imageSource(dataset: ImageDataset, indices: Uint32Array): PictureSource {
  const { channels, resolution, name } = dataset;
  return {
    name,
    count: indices.length,
    async *pictures(from, to, batch) {
      for (let begin = from; begin < to; begin += batch) {
        const part = selectImages(dataset, indices.subarray(begin, Math.min(begin + batch, to)));
        yield { pixels: part.pixels, shape: [part.count, channels, resolution, resolution] };
      }
    },
    dispose: () => undefined,
  };
}

export type GenerationSettings = {
  readonly net: string;
  readonly steps: number;
  readonly networkBatch: number;
};

/** Images that a network makes of `count` seeds from `firstSeed` on, by the usual sampler without guidance. */
export function networkSource(
  network: Pick<FoundNetwork & LoadedNetwork, "config" | "denoiser" | "seenLabels">,
  { net, steps, networkBatch }: GenerationSettings,
  firstSeed: number,
  count: number,
): PictureSource {
  const { imageChannels, imageResolution, labelDim } = network.config.unet;
  let generator: ImageGenerator | undefined;
  return {
    name: net,
    count,
    async *pictures(from, to, batch) {
      generator ??= new ImageGenerator({
        denoiser: network.denoiser,
        imageShape: [imageChannels, imageResolution, imageResolution],
        labelDim,
        steps,
        networkBatch,
      });
      const seeds = Array.from({ length: to - from }, (_, i) => firstSeed + from + i);
      for await (const { images, shape } of generator.generate({ seeds, drawFrom: network.seenLabels, batch })) {
        yield { pixels: toPixels(images), shape };
      }
    },
    dispose: () => generator?.dispose(),
  };
}
