import type { Shape } from "../../engine/index.ts";
import { writeFileAtomically } from "../../engine/io/node.ts";
import { encodePng } from "./encodePng.ts";
import { type GridOptions, imageGrid, type Picture, toPixels } from "./imageGrid.ts";

/**
 * Writes a PNG file, whole or not at all. @throws EvenkeelError `file` if the file system refuses.
 * @example
 * ```ts
 * import { diskFolder } from "evenkeel/engine/io/node";
 *
 * await writePng("grey.png", { width: 1, height: 1, channels: 1, data: Uint8Array.of(128) });
 * console.log(await diskFolder(".").list()); // [ 'grey.png' ]
 * ```
 */
export async function writePng(file: string, picture: Picture): Promise<void> {
  await writeFileAtomically(file, (sink) => sink.write(encodePng(picture)));
}

/**
 * Writes images [N, C, H, W] in [-1, 1] as one PNG file, in a grid.
 * @throws EvenkeelError `file` if the file system refuses, `shape` and `value` as `imageGrid` does.
 * @example
 * ```ts
 * import { diskFolder } from "evenkeel/engine/io/node";
 *
 * await writeImageGrid("samples.png", new Float32Array(4 * 64), [4, 1, 8, 8], { columns: 2 });
 * console.log(await diskFolder(".").list()); // [ 'samples.png' ]
 * ```
 */
export async function writeImageGrid(
  file: string,
  images: Float32Array,
  shape: Shape,
  options: GridOptions = {},
): Promise<void> {
  await writePng(file, imageGrid(toPixels(images), shape, options));
}

/**
 * Writes image number `index` of images [N, C, H, W] in [-1, 1] as a PNG file of its own.
 * @example
 * ```ts
 * import { diskFolder } from "evenkeel/engine/io/node";
 *
 * const images = new Float32Array(4 * 64);
 * await writeImage("third.png", images, [4, 1, 8, 8], 2);
 * console.log(await diskFolder(".").list()); // [ 'third.png' ]
 * ```
 */
export async function writeImage(file: string, images: Float32Array, shape: Shape, index: number): Promise<void> {
  const imageShape = shape.slice(1);
  const size = imageShape.reduce((product, length) => product * length, 1);
  const image = images.subarray(index * size, (index + 1) * size);
  await writePng(file, imageGrid(toPixels(image), [1, ...imageShape], { padding: 0 }));
}
