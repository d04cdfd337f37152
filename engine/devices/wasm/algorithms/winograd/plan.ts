/**
 * Winograd's algorithm F(4x4, 3x3) for kernels that are 3x3 convolutions of stride 1 over padded images, and for their filter
 * gradients: 36 instead of 144 multiplications for each 4x4 outputs. Lavin and Gray, "Fast Algorithms for Convolutional Neural
 * Networks", 2015.
 */
import { type Convolution, contractionOf, convolutionOf, type Load } from "../../../../kernel/contraction.ts";
import { at } from "../../../../graph/shape.ts";
import type { Kernel } from "../../../../kernel/kernel.ts";
import { middleRows } from "./middle.ts";
import { gridOf, tilesOf } from "./tiles.ts";

/** What is transformed before it is multiplied: so many tiles, at most. Forward, these are tiles of so many images. */
export type Block = { readonly tiles: number; readonly images: number };

/** What both kinds know: the numbers of the kernel's axes, and sizes. */
type Geometry = {
  /** Of a single image there is no n. */
  readonly axes: Readonly<Record<"o" | "y" | "x" | "c" | "ky" | "kx", number>> & { readonly n: number | null };
  readonly size: Readonly<Record<"n" | "o" | "c" | "y" | "x", number>>;
  readonly block: Block;
};

/** y[n, o, y, x] = sum over c, ky, kx of image[n, c, y + ky, x + kx] * filter[o, c, ky, kx]. */
export type WinogradForward = Geometry & {
  readonly kind: "forward";
  /** What threads share: images of which they make all outputs, or outputs that they make of all tiles. */
  readonly shares: "images" | "outputs";
  readonly image: Load;
  readonly filter: Load;
};

/** y[o, c, ky, kx] = sum over n, y, x of image[n, c, y + ky, x + kx] * cotangent[n, o, y, x]. */
export type WinogradFilterGradient = Geometry & {
  readonly kind: "filterGradient";
  readonly image: Load;
  readonly cotangent: Load;
};

export type Winograd = WinogradForward | WinogradFilterGradient;

/** Tiles of a block of a forward convolution, about: enough for the transformed filter to be worth its way through memory. */
const forwardTiles = 32;
/** So many tiles of small images, so that there are several such blocks for threads. */
const smallImagesTiles = 16;
/** Of as many tiles and no more threads share outputs if there are so many weights: transformed, all of them are more than a cache holds. */
const fewTiles = 384;
const manyWeights = 2 ** 16;
/**
 * Tiles of a filter gradient's chunk, at least, and channels of both arrays in all of them: the sums are worth their way through memory,
 * and the chunk stays in the cache. There are no more than so many chunks, as each has phases of its own.
 */
const gradientTiles = 96;
const gradientChannels = 2 ** 13;
const mostChunks = 128;
/** Fewer channels than these, on the side that has fewer and on the other, don't pay for the transforms. */
const fewestChannels = [4, 8] as const;

/** How to compute a normalised kernel by Winograd's algorithm, or null if it is no such convolution or it would not pay. */
export function winogradOf(kernel: Kernel): Winograd | null {
  const contraction = contractionOf(kernel);
  const convolution = contraction === null ? null : convolutionOf(kernel, contraction);
  if (convolution === null || kernel.stores[0].dtype !== "f32") return null;
  const axes = namedAxes(convolution);
  if (axes === null) return null;
  const sizeOf = (axis: number): number => at(kernel.axes, axis).size;
  const size = {
    n: axes.n === null ? 1 : sizeOf(axes.n),
    o: sizeOf(axes.o),
    c: sizeOf(axes.c),
    y: sizeOf(axes.y),
    x: sizeOf(axes.x),
  };
  const { n, o, c } = size;
  if (sizeOf(axes.ky) !== 3 || sizeOf(axes.kx) !== 3) return null;
  if (Math.min(o, c) < fewestChannels[0] || Math.max(o, c) < fewestChannels[1]) return null;
  const step = ({ at: { coefficients } }: Pick<Load, "at">, axis: number): number => at(coefficients, axis);
  const { image, other } = convolution;
  const [result] = kernel.stores;
  const tiles = tilesOf(gridOf(size));
  // Pixels of a row are neighbours. Places within rows and columns are immediate offsets of loads and stores, which can't be negative.
  if (step(image, axes.x) !== 1 || step(image, axes.kx) !== 1) return null;
  if (step(image, axes.y) <= 0 || step(image, axes.y) !== step(image, axes.ky) || step(image, axes.c) <= 0) return null;
  if (convolution.kind === "forward") {
    if (step(result, axes.x) !== 1 || Math.min(step(result, axes.y), step(result, axes.o)) <= 0) return null;
    const known = { kind: "forward", image, filter: other, axes, size } as const;
    // Images are finished one after the other, as ranges of the first axis.
    if (axes.n !== 0 || (n * tiles <= fewTiles && o * c >= manyWeights)) {
      const most = Math.max(gradientTiles, (4 * gradientChannels) / c, (n * tiles) / mostChunks);
      return { ...known, shares: "outputs", block: { images: n, tiles: evenBlock(n * tiles, most) } };
    }
    const images = imagesOfBlock(n, tiles);
    return { ...known, shares: "images", block: { images, tiles: evenBlock(images * tiles, forwardTiles) } };
  }
  if (axes.o !== 0 || step(other, axes.x) !== 1) return null;
  if (
    [
      ...[axes.y, axes.o].map((axis) => step(other, axis)),
      ...[axes.c, axes.ky, axes.kx].map((axis) => step(result, axis)),
    ].some((bytes) => bytes <= 0)
  ) {
    return null;
  }
  const most = Math.max(gradientTiles, gradientChannels / (c + o), (n * tiles) / mostChunks);
  const block = { images: 1, tiles: evenBlock(n * tiles, most) };
  return { kind: "filterGradient", image, cotangent: other, axes, size, block };
}

/**
 * Images whose tiles make a block: about so many tiles, with few rows of register tiles left empty. At least two blocks, if there are two
 * images: one for each of two threads.
 */
function imagesOfBlock(n: number, tiles: number): number {
  const most = Math.max(1, Math.min(Math.floor(forwardTiles / tiles), Math.ceil(n / 2)));
  const cost = (images: number): number => {
    const [count, rows] = [images * tiles, middleRows * Math.ceil((images * tiles) / middleRows)];
    const away = count < smallImagesTiles ? (smallImagesTiles - count) / 64 : (count - smallImagesTiles) / 256;
    return (rows / count) * (1 + away);
  };
  const counts = Array.from({ length: most }, (_, index) => index + 1);
  return counts.reduce((best, images) => (cost(images) < cost(best) ? images : best));
}

/** The tiles of each of as many equal blocks as are needed for no more than `most`; whole rows of a register tile. */
function evenBlock(tiles: number, most: number): number {
  return middleRows * Math.ceil(tiles / Math.ceil(tiles / most) / middleRows);
}

/** The axes of a convolution over images by their names, or null if it has others or fewer. */
function namedAxes({ groups, n, o, c, windows }: Convolution): Geometry["axes"] | null {
  const [vertical, horizontal] = windows;
  if (vertical === undefined || horizontal === undefined || windows.length > 2 || groups.length > 0) return null;
  const [[images = null], [outputs], [inputs]] = [n, o, c];
  if (outputs === undefined || inputs === undefined || Math.max(n.length, o.length, c.length) > 1) return null;
  const [y, ky, x, kx] = [vertical.position, vertical.tap, horizontal.position, horizontal.tap];
  return { n: images, o: outputs, c: inputs, y, x, ky, kx };
}
