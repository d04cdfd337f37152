/** How tiles of 4x4 pixels are taken together: four make a vector, vectors make a block that is transformed before it is multiplied. */
import { at } from "../../../../graph/shape.ts";
import type { Affine } from "../../../../kernel/kernel.ts";
import { type FunctionBuilder, i32, type Local, op, type Operand } from "../../assembler/index.ts";
import { advance, after, repeat } from "../tile.ts";
import type { Pixels } from "./transforms.ts";

type ImageSize = Readonly<Record<"n" | "y" | "x", number>>;

/** Vectors of four tiles in a block: so many images, of each so many rows and columns of vectors. */
export type Block = {
  readonly images: number;
  readonly rows: number;
  readonly columns: number;
  /** Tiles of a vector that are beside each other; the others are below. */
  readonly across: 2 | 4;
};

/** Blocks of at most `limit` vectors, of at most `images` images; null if four tiles don't cover such images. */
export function blockOf({ y, x }: ImageSize, images: number, limit: number): Block | null {
  const across = x % 16 === 0 ? 4 : 2;
  const [width, height] = [4 * across, 16 / across];
  if (x % width !== 0 || y % height !== 0) return null;
  const columns = largestDivisor(x / width, limit);
  const rows = largestDivisor(y / height, Math.floor(limit / columns));
  const isWhole = columns * rows * width * height === x * y;
  return { images: isWhole ? largestDivisor(images, Math.floor(limit / (columns * rows))) : 1, rows, columns, across };
}

export function largestDivisor(n: number, limit: number): number {
  for (let divisor = Math.min(n, limit); divisor > 1; divisor--) if (n % divisor === 0) return divisor;
  return 1;
}

/**
 * Bytes from one transformed place to the next, at least `bytes`: a line more than a multiple of four, so that the 36 places of a
 * tile are not all in the same few lines of the cache.
 */
export const placeBytes = (bytes: number): number => 256 * Math.ceil(bytes / 256) + 64;

export const vectorsOf = ({ images, rows, columns }: Block): number => images * rows * columns;
const widthOf = ({ across, columns }: Block): number => 4 * across * columns;
const heightOf = ({ across, rows }: Block): number => (16 / across) * rows;

/** Bytes from a channel, an image and a row of what is transformed to the next. */
export type Strides = { readonly channel: number; readonly image: number; readonly row: number };

/** Pixels of an array: where those of the first channel of image number `image` begin, and how far it is to others. */
export function pixelsAt(
  f: FunctionBuilder,
  base: Local,
  { offset, coefficients }: Affine,
  axes: Readonly<Record<"n" | "y" | "channel", number>>,
  image: (bytes: number) => Operand,
): { readonly pointer: Local; readonly strides: Strides } {
  const bytes = (axis: number): number => 4 * at(coefficients, axis);
  const strides = { channel: bytes(axes.channel), image: bytes(axes.n), row: bytes(axes.y) };
  const first = op("i32.add", base, image(strides.image));
  return { pointer: f.let("i32", "start", op("i32.add", first, i32(4 * offset))), strides };
}

/** Runs `body` for each block of some images, with pointers that are moved on to it and in the end past the images. */
export function forBlocks(
  f: FunctionBuilder,
  block: Block,
  size: ImageSize,
  moved: readonly { readonly pointer: Local; readonly strides: Strides }[],
  body: () => void,
): void {
  const move = (bytes: (strides: Strides) => number): void => {
    for (const { pointer, strides } of moved) advance(f, pointer, bytes(strides));
  };
  repeat(f, size.n / block.images, () => {
    repeat(f, size.y / heightOf(block), () => {
      repeat(f, size.x / widthOf(block), () => {
        body();
        move(() => 4 * widthOf(block));
      });
      move(({ row }) => heightOf(block) * row - 4 * size.x);
    });
    move(({ image, row }) => block.images * image - size.y * row);
  });
}

/** Runs `body` for each vector of a block of so many channels; `places` are [channels, vectors], of 16 bytes. */
export function forVectors(
  f: FunctionBuilder,
  block: Block,
  channels: number,
  pixels: { readonly pointer: Local; readonly strides: Strides },
  places: Local,
  body: (pixels: Pixels, place: Local) => void,
): void {
  const { channel, image, row } = pixels.strides;
  const [plane, place] = [after(f, "plane", pixels.pointer, 0), after(f, "place", places, 0)];
  repeat(f, channels, () => {
    const pointer = after(f, "pixels", plane, 0);
    repeat(f, block.images, () => {
      repeat(f, block.rows, () => {
        repeat(f, block.columns, () => {
          body({ pointer, rowBytes: row, across: block.across }, place);
          advance(f, pointer, 16 * block.across);
          advance(f, place, 16);
        });
        advance(f, pointer, (16 / block.across) * row - 4 * widthOf(block));
      });
      advance(f, pointer, image - heightOf(block) * row);
    });
    advance(f, plane, channel);
  });
}
