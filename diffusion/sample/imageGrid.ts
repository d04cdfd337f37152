import { EvenkeelError, type Shape } from "../../engine/index.ts";

/** A picture of 8-bit pixels, row by row, the channels of a pixel together: 1 grey or 3 red, green, blue. */
export type Picture = {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** height * width * channels bytes. */
  readonly data: Uint8Array;
};

/** How a grid of images is laid out. */
export type GridOptions = {
  /** Images in a row. Default: as many as make the grid about square. */
  readonly columns?: number;
  /** Pixels between images and around them, after enlarging. Default 2. */
  readonly padding?: number;
  /** Brightness of the padding, 0 to 255. Default 255. */
  readonly background?: number;
  /** Each pixel becomes a square of so many. Default 1. */
  readonly scale?: number;
};

/**
 * Images in [-1, 1] as 8-bit pixels: x * 127.5 + 128 in float32, held to 0..255, the fraction cut off; the inverse of
 * u8 / 127.5 - 1. NaN becomes 0.
 * @example console.log(toPixels(Float32Array.of(-1, 0, 1))); // Uint8Array(3) [ 0, 128, 255 ]
 */
export function toPixels(images: Float32Array): Uint8Array {
  // Rounded after each operation, as float32 arithmetic does; the clamped array alone would round to nearest.
  return Uint8Array.from(images, (x) => Math.min(Math.max(Math.fround(Math.fround(x * 127.5) + 128), 0), 255));
}

/**
 * The first channels of images [N, C, H, W]: of latents, which have four, three stand for colours.
 * @example console.log(firstChannels(Uint8Array.of(1, 2, 3, 4), [1, 4, 1, 1], 3)); // Uint8Array(3) [ 1, 2, 3 ]
 */
export function firstChannels<A extends Float32Array | Uint8Array>(images: A, shape: Shape, channels: number): A {
  const [count = 0, all = 0, height = 0, width = 0] = shape;
  if (all === channels) return images;
  const [stored, shown] = [all * height * width, channels * height * width];
  return images.filter((_, i) => i < count * stored && i % stored < shown) as A;
}

/**
 * One picture of the pixels [N, C, H, W]: images in rows from the top left, with padding.
 * @throws EvenkeelError `shape` unless there are images of 1 or 3 channels, `value` for options out of range.
 * @example
 * ```ts
 * const { width, height } = imageGrid(new Uint8Array(4 * 64), [4, 1, 8, 8], { columns: 2 });
 * console.log(width, height); // 22 22
 * ```
 */
export function imageGrid(pixels: Uint8Array, shape: Shape, options: GridOptions = {}): Picture {
  const [count = 0, channels = 0, imageHeight = 0, imageWidth = 0] = shape;
  if (shape.length !== 4 || (channels !== 1 && channels !== 3) || count * imageHeight * imageWidth === 0) {
    throw new EvenkeelError(
      "shape",
      `imageGrid: pixels are [N, C, H, W] with C 1 (grey) or 3 (colour), got [${shape.join(", ")}].`,
    );
  }
  if (pixels.length !== count * channels * imageHeight * imageWidth) {
    throw new EvenkeelError("shape", `imageGrid: ${pixels.length} pixels are not [${shape.join(", ")}].`);
  }
  const { columns = Math.ceil(Math.sqrt(count)), padding = 2, background = 255, scale = 1 } = options;
  requireWhole("columns", columns, 1, Infinity);
  requireWhole("padding", padding, 0, Infinity);
  requireWhole("background", background, 0, 255);
  requireWhole("scale", scale, 1, Infinity);

  const usedColumns = Math.min(columns, count);
  const rows = Math.ceil(count / usedColumns);
  const [cellWidth, cellHeight] = [imageWidth * scale + padding, imageHeight * scale + padding];
  const [width, height] = [usedColumns * cellWidth + padding, rows * cellHeight + padding];
  const data = new Uint8Array(width * height * channels).fill(background);
  for (let image = 0; image < count; image++) {
    const left = padding + (image % usedColumns) * cellWidth;
    const top = padding + Math.floor(image / usedColumns) * cellHeight;
    for (let channel = 0; channel < channels; channel++) {
      const plane = (image * channels + channel) * imageHeight * imageWidth;
      for (let y = 0; y < imageHeight * scale; y++) {
        const source = plane + Math.floor(y / scale) * imageWidth;
        const target = (top + y) * width + left;
        for (let x = 0; x < imageWidth * scale; x++) {
          data[(target + x) * channels + channel] = pixels[source + Math.floor(x / scale)] ?? 0;
        }
      }
    }
  }
  return { width, height, channels, data };
}

function requireWhole(name: string, value: number, lowest: number, highest: number): void {
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    const range = highest === Infinity ? `of at least ${lowest}` : `from ${lowest} to ${highest}`;
    throw new EvenkeelError("value", `imageGrid: ${name} is ${value}, expected a whole number ${range}.`);
  }
}
