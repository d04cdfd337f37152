import type { ImageExtents } from "../metrics/index.ts";
import { channelResizer, type ResizeMethod } from "./resize.ts";

/** What a network wants to be given. */
export type InputFormat = {
  /** Height and width. */
  readonly size: number;
  readonly resize: ResizeMethod;
  /** Subtracted from values in 0..255, for red, green and blue. */
  readonly mean: readonly [number, number, number];
  /** What the difference is divided by. */
  readonly deviation: readonly [number, number, number];
};

/** Makes batches of a network's input. */
export type ImagePreparation = (images: Uint8Array, begin: number, count: number, batch: number) => Float32Array;

/**
 * For images u8 [N, C, H, W] of the given extents: `count` images from `begin` on as [batch, 3, size, size], the rest zeros. Grey images
 * get three equal channels.
 */
export function imagePreparation({ channels, height, width }: ImageExtents, format: InputFormat): ImagePreparation {
  const { size, mean, deviation } = format;
  const resize = channelResizer(format.resize, height, width, size);
  const pixels = height * width;
  return (images, begin, count, batch) => {
    const result = new Float32Array(batch * 3 * size * size);
    for (let i = 0; i < count; i++) {
      for (let colour = 0; colour < 3; colour++) {
        const start = ((begin + i) * channels + (channels === 1 ? 0 : colour)) * pixels;
        const scale = 1 / (deviation[colour] ?? NaN);
        const shift = -(mean[colour] ?? NaN) * scale;
        resize(images.subarray(start, start + pixels), result, (i * 3 + colour) * size * size, scale, shift);
      }
    }
    return result;
  };
}
