/**
 * Winograd's algorithm F(4x4, 3x3) for kernels that are 3x3 convolutions of stride 1 over padded images, and for their filter
 * gradients: 36 instead of 144 multiplications for each 4x4 outputs. Lavin and Gray, "Fast Algorithms for Convolutional Neural
 * Networks", 2015.
 */
import type { Affine, Kernel, Scalar } from "../../../../kernel/kernel.ts";
import { type Block, blockOf, largestDivisor } from "./blocks.ts";

export type Load = Extract<Scalar, { readonly kind: "load" }>;

/** What both kinds know: the numbers of the kernel's axes, and sizes. */
type Geometry = {
  readonly axes: Readonly<Record<"n" | "o" | "y" | "x" | "c" | "ky" | "kx", number>>;
  readonly size: Readonly<Record<"n" | "o" | "c" | "y" | "x", number>>;
  /** What is transformed before it is multiplied. */
  readonly block: Block;
};

/** y[n, o, y, x] = sum over c, ky, kx of image[n, c, y + ky, x + kx] * filter[o, c, ky, kx]. */
export type WinogradForward = Geometry & {
  readonly kind: "forward";
  readonly image: Load;
  readonly filter: Load;
};

/** y[o, c, ky, kx] = sum over n, y, x of image[n, c, y + ky, x + kx] * cotangent[n, o, y, x]. */
export type WinogradFilterGradient = Geometry & {
  readonly kind: "filterGradient";
  readonly image: Load;
  readonly cotangent: Load;
  /** Parts of the images with sums of their own. Fixed by the shape, so that results don't depend on the threads. */
  readonly parts: number;
};

export type Winograd = WinogradForward | WinogradFilterGradient;

/** Vectors of a block: for a forward convolution as many as a row of a register tile, for a filter gradient enough for long sums. */
const forwardVectors = 4;
const gradientVectors = 8;
/** Sums of more weights than this are made in two parts instead of four: they go through memory, not through the cache. */
const mostSums = 128 * 128;
/** Fewer channels than this on both sides don't pay for the transforms. */
const fewestChannels = 8;

/** How to compute a normalised kernel by Winograd's algorithm, or null if it is no such convolution or it would not pay. */
export function winogradOf(kernel: Kernel): Winograd | null {
  const { reduction, axes, stores } = kernel;
  if (reduction?.op !== "sum" || stores.length > 1) return null;
  const [result] = stores;
  const { body } = reduction;
  if (body.kind !== "binary" || body.op !== "multiply" || body.dtype !== "f32") return null;
  if (result.dtype !== "f32" || body.x.kind !== "load" || body.y.kind !== "load") return null;
  if (axes.length !== 7 || axes.filter(({ role }) => role === "parallel").length !== 4) return null;
  const size = axes.map((axis) => axis.size);
  for (const [image, other] of [
    [body.x, body.y],
    [body.y, body.x],
  ] as const) {
    const found = forwardOf(result.at, size, image, other) ?? filterGradientOf(result.at, size, image, other);
    if (found !== null) return found;
  }
  return null;
}

function forwardOf(result: Affine, sizes: readonly number[], image: Load, filter: Load): WinogradForward | null {
  const [n = 0, o = 0, y = 0, x = 0, c = 0, ky = 0, kx = 0] = sizes;
  const [in_ = 0, io, iy, ix, , iky, ikx] = image.at.coefficients;
  const [fn, , fy, fx] = filter.at.coefficients;
  if (ky !== 3 || kx !== 3 || in_ === 0) return null;
  if (io !== 0 || ix !== 1 || ikx !== 1 || iy !== iky || fn !== 0 || fy !== 0 || fx !== 0) return null;
  if (result.coefficients[3] !== 1 || Math.min(o, c) < fewestChannels) return null;
  // Places within rows and columns are immediate offsets of loads and stores, which can't be negative.
  if (Math.min(iy ?? 0, result.coefficients[2] ?? 0, filter.at.coefficients[4] ?? 0) <= 0) return null;
  // At least two blocks, if there are two images: one for each of two threads.
  const block = blockOf({ n, y, x }, n > 1 ? largestDivisor(n, Math.floor(n / 2)) : 1, forwardVectors);
  if (block === null) return null;
  return {
    kind: "forward",
    image,
    filter,
    axes: { n: 0, o: 1, y: 2, x: 3, c: 4, ky: 5, kx: 6 },
    size: { n, o, c, y, x },
    block,
  };
}

function filterGradientOf(
  result: Affine,
  sizes: readonly number[],
  image: Load,
  cotangent: Load,
): WinogradFilterGradient | null {
  const [o = 0, c = 0, ky = 0, kx = 0, n = 0, y = 0, x = 0] = sizes;
  const [io, , iky, ikx, , iy, ix] = image.at.coefficients;
  const [, gc, gky, gkx, , , gx] = cotangent.at.coefficients;
  if (ky !== 3 || kx !== 3) return null;
  if (io !== 0 || ix !== 1 || ikx !== 1 || iy !== iky || gc !== 0 || gky !== 0 || gkx !== 0 || gx !== 1) return null;
  if (Math.min(o, c) < fewestChannels) return null;
  const inside = [iy, cotangent.at.coefficients[5], ...result.coefficients.slice(1, 4)];
  if (inside.some((coefficient) => (coefficient ?? 0) <= 0)) return null;
  const parts = largestDivisor(n, o * c > mostSums ? 2 : 4);
  const block = blockOf({ n, y, x }, n / parts, gradientVectors);
  if (block === null) return null;
  return {
    kind: "filterGradient",
    image,
    cotangent,
    axes: { o: 0, c: 1, ky: 2, kx: 3, n: 4, y: 5, x: 6 },
    size: { n, o, c, y, x },
    block,
    parts,
  };
}
