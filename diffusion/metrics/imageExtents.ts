import { EvenkeelError, type Shape } from "../../engine/index.ts";

/** The extents of images u8 [N, C, H, W] with 1 or 3 channels. */
export type ImageExtents = {
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
};

/**
 * What images are [N, C, H, W]. @throws EvenkeelError `shape` unless they are such with 1 or 3 channels and as many bytes.
 * @example console.log(imageExtents("mine", new Uint8Array(24), [2, 3, 2, 2])); // { count: 2, channels: 3, height: 2, width: 2 }
 */
export function imageExtents(extractor: string, images: Uint8Array, shape: Shape): ImageExtents {
  const [count = 0, channels = 0, height = 0, width = 0] = shape;
  const fits = shape.length === 4 && images.length === count * channels * height * width;
  if (!fits || (channels !== 1 && channels !== 3) || height < 1 || width < 1) {
    throw new EvenkeelError(
      "shape",
      `features ${extractor}: ${images.length} bytes as [${shape.join(", ")}] are not images [N, C, H, W] with 1 or 3 channels.`,
    );
  }
  return { count, channels, height, width };
}
